package audit

// Eight bytes of a text are looked at in one step, as the number that they are
// in little-endian order.
const (
	wordLen    = 8
	everyByte  = 0x0101010101010101 // times b: b in each byte
	everyHigh  = 0x80 * everyByte   // the highest bit of each byte
	everyQuote = '"' * everyByte
	everySlash = '\\' * everyByte
)

// word returns the first eight bytes of s.
func word(s string) uint64 {
	_ = s[wordLen-1]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// notPrintable is 0 if each byte of w is printable ASCII (0x20 to 0x7e). A sum
// only carries into the next byte where a byte has its highest bit, which is told
// by w itself.
func notPrintable(w uint64) uint64 {
	const fromSpace, fromDEL = 0x60 * everyByte, 0x01 * everyByte
	return (w | ^(w + fromSpace) | (w + fromDEL)) & everyHigh
}

// hasZero is 0 unless a byte of w is.
func hasZero(w uint64) uint64 { return (w - everyByte) &^ w & everyHigh }

// plainWord reports whether each byte of w is [plain].
func plainWord(w uint64) bool {
	return notPrintable(w)|hasZero(w^everyQuote)|hasZero(w^everySlash) == 0
}

// printableLen returns how many bytes at the start of s are printable ASCII.
func printableLen(s string) int {
	i := 0
	for i+wordLen <= len(s) && notPrintable(word(s[i:i+wordLen])) == 0 {
		i += wordLen
	}
	for i < len(s) && s[i] >= 0x20 && s[i] <= 0x7e {
		i++
	}
	return i
}
