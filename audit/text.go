package audit

import (
	"encoding/base64"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// twinSuffix ends the name under which the bytes of a value that is no UTF-8
// stand in base64, beside the readable form under the plain name.
const twinSuffix = "_b64"

func validUTF8(s string) bool { return utf8.ValidString(s) }

func encodeTwin(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// plain reports whether c stands for itself inside a string.
func plain(c byte) bool { return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\' }

// plainLen returns how many bytes at the start of s stand for themselves.
func plainLen(s string) int {
	i := 0
	for i+wordLen <= len(s) && plainWord(word(s[i:i+wordLen])) {
		i += wordLen
	}
	for i < len(s) && plain(s[i]) {
		i++
	}
	return i
}

// appendString writes s as a JSON string in printable ASCII. Every byte that is
// no UTF-8 is written as U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst, _ = appendText(dst, s)
	return dst
}

// appendText is appendString and reports whether s is UTF-8.
func appendText(dst []byte, s string) (_ []byte, valid bool) {
	valid = true
	dst = append(dst, '"')
	for {
		n := plainLen(s)
		dst = append(dst, s[:n]...)
		if s = s[n:]; s == "" {
			return append(dst, '"'), valid
		}
		r, size := utf8.DecodeRuneInString(s)
		valid = valid && (r != utf8.RuneError || size > 1)
		dst = appendEscaped(dst, r)
		s = s[size:]
	}
}

func appendEscaped(dst []byte, r rune) []byte {
	if r == '"' || r == '\\' {
		return append(dst, '\\', byte(r))
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return appendUnit(appendUnit(dst, high), low)
	}
	return appendUnit(dst, r)
}

func appendUnit(dst []byte, unit rune) []byte {
	return append(dst, '\\', 'u', hexDigits[unit>>12&15], hexDigits[unit>>8&15],
		hexDigits[unit>>4&15], hexDigits[unit&15])
}

// encodedLen returns how many bytes appendString writes for s between the
// quotes, and with its base64 twin if it needs one.
func encodedLen(s string) int {
	n := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		n += runeLen(r)
		i += size
	}
	if !validUTF8(s) {
		n += base64.StdEncoding.EncodedLen(len(s))
	}
	return n
}

func runeLen(r rune) int {
	switch {
	case r == '"' || r == '\\':
		return 2
	case r >= 0x20 && r <= 0x7e:
		return 1
	case r > 0xffff:
		return 12
	default:
		return 6
	}
}

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

func appendBool(dst []byte, b bool) []byte { return strconv.AppendBool(dst, b) }
