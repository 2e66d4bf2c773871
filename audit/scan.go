package audit

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// errorf makes the errors of the format. They never hold text of the line, which
// may be hostile.
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// A scanner reads canonical JSON from a line and takes no other: no white space,
// no escape where none is needed, one way to write each value.
type scanner struct {
	line    string // all printable ASCII
	pos     int
	escaped bool // a backslash is somewhere in the line
	// The elements of the lists and the members of the objects that are being
	// read, those of the outer ones first: how many there are is known at the end.
	values  []Value
	members []Member
}

// start makes s read line, from its beginning.
func (s *scanner) start(line string) error {
	s.line, s.pos = line, 0
	s.escaped = strings.IndexByte(line, '\\') >= 0
	if n := printableLen(line); n < len(line) {
		return errorf("a byte outside printable ASCII at byte %d", n)
	}
	return nil
}

func (s *scanner) peek() byte {
	if s.pos < len(s.line) {
		return s.line[s.pos]
	}
	return 0
}

func (s *scanner) take(token string) bool {
	if !strings.HasPrefix(s.line[s.pos:], token) {
		return false
	}
	s.pos += len(token)
	return true
}

func (s *scanner) want(token string) error {
	if !s.take(token) {
		return errorf("want %q at byte %d", token, s.pos)
	}
	return nil
}

// string reads a string. Escaped bytes come back as UTF-8.
func (s *scanner) string() (string, error) {
	if s.peek() != '"' {
		return "", s.want(`"`)
	}
	start := s.pos + 1
	n := strings.IndexByte(s.line[start:], '"')
	if n < 0 {
		return "", errorf("a string without end")
	}
	text := s.line[start : start+n]
	if s.escaped && strings.IndexByte(text, '\\') >= 0 {
		s.pos = start
		return s.escapedString()
	}
	s.pos = start + n + 1
	return text, nil
}

// escapedString reads the rest of a string that has an escape in it.
func (s *scanner) escapedString() (string, error) {
	var out []byte
	for s.pos < len(s.line) {
		n := plainLen(s.line[s.pos:])
		out = append(out, s.line[s.pos:s.pos+n]...)
		s.pos += n
		if s.take(`"`) {
			return string(out), nil
		}
		r, err := s.escape()
		if err != nil {
			return "", err
		}
		out = utf8.AppendRune(out, r)
	}
	return "", errorf("a string without end")
}

// escape reads one escape: the one that appendEscaped would write.
func (s *scanner) escape() (rune, error) {
	start := s.pos
	if s.take(`\"`) {
		return '"', nil
	}
	if s.take(`\\`) {
		return '\\', nil
	}
	r, ok := s.unit()
	if ok && utf16.IsSurrogate(r) {
		low, lowOK := s.unit()
		r = utf16.DecodeRune(r, low)
		ok = lowOK && r != utf8.RuneError
	}
	if !ok || runeLen(r) < len(`\u0000`) {
		return 0, errorf("a wrong escape at byte %d", start)
	}
	return r, nil
}

// unit reads one \uXXXX, in lower case.
func (s *scanner) unit() (unit rune, ok bool) {
	if !s.take(`\u`) || len(s.line)-s.pos < 4 {
		return 0, false
	}
	for range 4 {
		v := hexValues[s.line[s.pos]]
		if v == notHex {
			return 0, false
		}
		unit = unit<<4 | rune(v)
		s.pos++
	}
	return unit, true
}

// int reads an integer of 64 bits: the digits that appendInt would write.
func (s *scanner) int() (int64, error) {
	start := s.pos
	negative := s.take("-")
	first, n := s.pos, uint64(0)
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		n = 10*n + uint64(c-'0')
		s.pos++
	}
	digits, limit := s.pos-first, uint64(math.MaxInt64)
	if negative {
		limit++
	}
	zero := digits > 0 && s.line[first] == '0'
	if digits == 0 || digits > maxDigits || n > limit || zero && (digits > 1 || negative) {
		return 0, errorf("want an integer of 64 bits at byte %d", start)
	}
	if negative {
		return -int64(n), nil // of 1<<63 it is itself
	}
	return int64(n), nil
}

// maxDigits is how many digits an integer of 64 bits has at most. As many can't
// overflow an unsigned one.
const maxDigits = len("9223372036854775807")

func (s *scanner) bool() (bool, error) {
	if s.take("true") {
		return true, nil
	}
	return false, s.want("false")
}

func (s *scanner) hash() (h Hash, err error) {
	v, err := s.string()
	if err == nil && !h.parse(v) {
		err = errorf("not 64 lower-case hex digits")
	}
	return h, err
}
