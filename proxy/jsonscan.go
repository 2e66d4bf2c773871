package proxy

import (
	"encoding/binary"
	"encoding/hex"
	"unicode/utf16"
	"unicode/utf8"
)

// eachMember calls do for each member of the object that content is, with its
// name and its value's text; for anything but an object it does nothing. The
// content must be valid JSON.
func eachMember(content []byte, do func(name string, value []byte)) {
	i := skipSpace(content, 0)
	if i == len(content) || content[i] != '{' {
		return
	}
	for i = skipSpace(content, i+1); content[i] == '"'; i = skipSpace(content, i) {
		end := valueEnd(content, i)
		name := unquote(content[i:end])
		i = skipSpace(content, skipSpace(content, end)+1) // behind the colon
		end = valueEnd(content, i)
		do(name, content[i:end])
		if i = skipSpace(content, end); content[i] == ',' {
			i++
		}
	}
}

func skipSpace(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns where the value ends that begins at i.
func valueEnd(s []byte, i int) int {
	depth := 0
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			for i++; s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			} else if depth < 0 {
				return i
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// unquote returns the bytes that a valid JSON string stands for. Bytes that are
// no UTF-8 stay, and a surrogate without its pair is kept in three bytes, so that
// nothing of what the upstream said is lost.
func unquote(quoted []byte) string {
	s := quoted[1 : len(quoted)-1]
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		if s[i] != 'u' {
			out = append(out, unescape(s[i]))
			continue
		}
		unit := hexUnit(s[i+1:])
		i += 4
		if pair := lowSurrogate(s[i+1:]); utf16.IsSurrogate(unit) && pair != 0 &&
			utf16.DecodeRune(unit, pair) != utf8.RuneError {
			unit = utf16.DecodeRune(unit, pair)
			i += 6
		}
		out = appendUnit(out, unit)
	}
	return string(out)
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

func hexUnit(s []byte) rune {
	var b [2]byte
	_, _ = hex.Decode(b[:], s[:4]) // valid JSON has four digits here
	return rune(binary.BigEndian.Uint16(b[:]))
}

// lowSurrogate returns the \uXXXX that s begins with, 0 if it begins with none.
func lowSurrogate(s []byte) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0
	}
	return hexUnit(s[2:])
}

// appendUnit writes a surrogate as UTF-8 would write another character.
func appendUnit(dst []byte, r rune) []byte {
	if utf16.IsSurrogate(r) {
		return append(dst, 0xed, 0x80|byte(r>>6&0x3f), 0x80|byte(r&0x3f))
	}
	return utf8.AppendRune(dst, r)
}
