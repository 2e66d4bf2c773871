package clerk

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text scans a string with its quotes.
func (s *scanner) text() error {
	if !s.accept('"') {
		return errSyntax
	}
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		s.pos++
		switch {
		case c == '"':
			return nil
		case c < ' ':
			return errSyntax
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		}
	}
	return errSyntax
}

// escape scans what follows a backslash.
func (s *scanner) escape() error {
	c := s.peek()
	s.pos++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		for range 4 {
			if !isHex(s.peek()) {
				return errSyntax
			}
			s.pos++
		}
		return nil
	}
	return errSyntax
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// unquote returns what a scanned string stands for: part of raw when it has no
// escapes. The escape of a surrogate without its other half, which is no
// character, becomes the three bytes of WTF-8, so that two different strings never
// become the same one.
func unquote(raw string) string {
	raw = raw[1 : len(raw)-1]
	next := strings.IndexByte(raw, '\\')
	if next < 0 {
		return raw
	}
	decoded := make([]byte, 0, len(raw))
	for next >= 0 {
		decoded = append(decoded, raw[:next]...)
		decoded, raw = unescape(decoded, raw[next+1:])
		next = strings.IndexByte(raw, '\\')
	}
	return string(append(decoded, raw...))
}

// unescape appends what the escape at the start of rest, behind its backslash,
// stands for, and returns what follows it.
func unescape(dst []byte, rest string) (decoded []byte, after string) {
	if rest[0] != 'u' {
		if i := strings.IndexByte("bfnrt", rest[0]); i >= 0 {
			return append(dst, "\b\f\n\r\t"[i]), rest[1:]
		}
		return append(dst, rest[0]), rest[1:]
	}
	unit, rest := codeUnit(rest[1:]), rest[5:]
	if !utf16.IsSurrogate(unit) {
		return utf8.AppendRune(dst, unit), rest
	}
	if strings.HasPrefix(rest, `\u`) {
		if pair := utf16.DecodeRune(unit, codeUnit(rest[2:])); pair != utf8.RuneError {
			return utf8.AppendRune(dst, pair), rest[6:]
		}
	}
	return append(dst, 0xe0|byte(unit>>12&0xf), 0x80|byte(unit>>6&0x3f), 0x80|byte(unit&0x3f)), rest
}

// codeUnit reads four hexadecimal digits that were scanned before.
func codeUnit(digits string) rune {
	n, err := strconv.ParseUint(digits[:4], 16, 16)
	if err != nil {
		panic("clerk: an escape was not scanned: " + err.Error())
	}
	return rune(n)
}
