package audit

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// errorf makes the errors of the format. They never hold text of the line, which
// may be hostile.
func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// maxNesting is how deep objects and lists in metadata may stand in each other.
const maxNesting = 8

// A scanner reads canonical JSON from a line and takes no other: no white space,
// no escape where none is needed, one way to write each value.
type scanner struct {
	line string
	pos  int
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
	if err := s.want(`"`); err != nil {
		return "", err
	}
	start := s.pos
	for s.pos < len(s.line) && plain(s.line[s.pos]) {
		s.pos++
	}
	if s.peek() == '"' {
		s.pos++
		return s.line[start : s.pos-1], nil
	}
	return s.escapedString(start)
}

func (s *scanner) escapedString(start int) (string, error) {
	out := append([]byte(nil), s.line[start:s.pos]...)
	for s.pos < len(s.line) {
		c := s.line[s.pos]
		switch {
		case c == '"':
			s.pos++
			return string(out), nil
		case plain(c):
			out = append(out, c)
			s.pos++
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		default:
			return "", errorf("a byte outside printable ASCII at byte %d", s.pos)
		}
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
		r, ok = utf16.DecodeRune(r, low), lowOK
	}
	if !ok || runeLen(r) < len(`\u0000`) || string(appendEscaped(nil, r)) != s.line[start:s.pos] {
		return 0, errorf("a wrong escape at byte %d", start)
	}
	return r, nil
}

// unit reads one \uXXXX.
func (s *scanner) unit() (rune, bool) {
	if !s.take(`\u`) || len(s.line)-s.pos < 4 {
		return 0, false
	}
	var b [2]byte
	if _, err := hex.Decode(b[:], []byte(s.line[s.pos:s.pos+4])); err != nil {
		return 0, false
	}
	s.pos += 4
	return rune(b[0])<<8 | rune(b[1]), true
}

// int reads an integer of 64 bits: the digits that appendInt would write.
func (s *scanner) int() (int64, error) {
	start := s.pos
	s.take("-")
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	digits := s.line[start:s.pos]
	n, err := strconv.ParseInt(digits, 10, 64)
	var buf [20]byte
	if err != nil || string(appendInt(buf[:0], n)) != digits {
		return 0, errorf("want an integer of 64 bits at byte %d", start)
	}
	return n, nil
}

func (s *scanner) bool() (bool, error) {
	if s.take("true") {
		return true, nil
	}
	return false, s.want("false")
}

func (s *scanner) hash() (Hash, error) {
	v, err := s.string()
	if err != nil {
		return Hash{}, err
	}
	return parseHash(v)
}

func parseHash(v string) (h Hash, err error) {
	if n, err := hex.Decode(h[:], []byte(v[:min(len(v), 2*len(h))])); err != nil ||
		n != len(h) || h.String() != v {
		return h, errorf("not 64 lower-case hex digits")
	}
	return h, nil
}

// value reads any value that metadata may hold.
func (s *scanner) value(depth int) (Value, error) {
	if depth > maxNesting {
		return Value{}, errorf("nested deeper than %d at byte %d", maxNesting, s.pos)
	}
	switch s.peek() {
	case '"':
		v, err := s.string()
		return String(v), err
	case '{':
		o, err := s.object(depth)
		return Nested(o), err
	case '[':
		return s.list(depth)
	case 't', 'f':
		b, err := s.bool()
		return Bool(b), err
	case 'n':
		return Value{}, s.want("null")
	default:
		n, err := s.int()
		return Int(n), err
	}
}

func (s *scanner) list(depth int) (Value, error) {
	v := List()
	s.pos++
	for !s.take("]") {
		if len(v.list) > 0 {
			if err := s.want(","); err != nil {
				return v, err
			}
		}
		e, err := s.value(depth + 1)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, e)
	}
	return v, nil
}

// object reads members in byte order of their names, none twice.
func (s *scanner) object(depth int) (Object, error) {
	var o Object
	s.pos++
	for !s.take("}") {
		if len(o) > 0 {
			if err := s.want(","); err != nil {
				return o, err
			}
		}
		name, err := s.string()
		if err != nil {
			return o, err
		}
		if len(o) > 0 && name <= o[len(o)-1].Name {
			return o, errorf("a name twice or out of order at byte %d", s.pos)
		}
		if err := s.want(":"); err != nil {
			return o, err
		}
		v, err := s.value(depth + 1)
		if err != nil {
			return o, err
		}
		o = append(o, Member{name, v})
	}
	return o, nil
}
