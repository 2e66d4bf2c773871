package audit

import "encoding/hex"

const hexDigits = "0123456789abcdef"

func appendHex(dst []byte, h Hash) []byte { return hex.AppendEncode(dst, h[:]) }

// parse is the inverse of [Hash.String] and reports whether v is of its form.
func (h *Hash) parse(v string) bool {
	if len(v) != 2*len(h) {
		return false
	}
	bad := byte(0)
	for i := range h {
		high, low := hexValues[v[2*i]], hexValues[v[2*i+1]]
		bad |= high | low
		h[i] = high<<4 | low
	}
	return bad&notHex == 0
}

// hexValues maps each lower-case hex digit to its value and all else to notHex.
var hexValues = hexTable()

const notHex = 0x80

func hexTable() (table [256]byte) {
	for c := range table {
		table[c] = notHex
	}
	for v, c := range []byte(hexDigits) {
		table[c] = byte(v)
	}
	return table
}
