package clerk

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxNesting bounds the depth of objects and arrays.
const maxNesting = 32

// What may be wrong with a JSON text. The sentences reach clients, so they hold
// nothing of it.
var (
	errNotObject = errors.New("is not a JSON object")
	errNotUTF8   = errors.New("is not UTF-8")
	errSyntax    = errors.New("is not well-formed JSON")
	errDuplicate = errors.New("has a duplicate name")
	errTooDeep   = errors.New("is nested too deeply")
	errTrailing  = errors.New("has bytes after the JSON object")
)

// kind is the type of a JSON value. The zero value is an absent one.
type kind byte

const (
	kindAbsent kind = iota
	kindNull
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// value is a JSON value that was found well-formed. raw is its text, without the
// white space round it, and belongs to the scanned document.
type value struct {
	kind kind
	raw  string
}

// member is one name and value of an object. name is decoded.
type member struct {
	name  string
	value value
}

// scanObject appends the members of the JSON object (RFC 8259) that data must be,
// to the last byte, to dst. It is stricter than encoding/json: UTF-8 must be
// valid, names differ from each other in every object, nesting is bounded, and
// names are compared exactly once their escapes are decoded.
func scanObject(data string, dst []member) ([]member, error) {
	if !utf8.ValidString(data) {
		return nil, errNotUTF8
	}
	s := scanner{data: data}
	s.space()
	if s.peek() != '{' {
		return nil, errNotObject
	}
	if err := s.object(&dst); err != nil {
		return nil, err
	}
	s.space()
	if s.pos != len(data) {
		return nil, errTrailing
	}
	return dst, nil
}

// scanArray returns the elements of a JSON array that was scanned before, or
// false if there are more than limit.
func scanArray(raw string, limit int) ([]value, bool) {
	s := scanner{data: raw}
	var elements []value
	err := s.array(func(v value) error {
		if len(elements) == limit {
			return errTooDeep
		}
		elements = append(elements, v)
		return nil
	})
	return elements, err == nil
}

// find returns the value of the member with exactly this name.
func find(members []member, name string) value {
	for i := range members {
		if members[i].name == name {
			return members[i].value
		}
	}
	return value{}
}

// scanner walks over a JSON text. Its methods leave pos behind what they accept.
type scanner struct {
	data  string
	pos   int
	depth int
}

// peek returns the next byte; 0, which no JSON text holds, at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value() (value, error) {
	start := s.pos
	k, err := s.scan()
	if err != nil {
		return value{}, err
	}
	return value{kind: k, raw: s.data[start:s.pos]}, nil
}

func (s *scanner) scan() (kind, error) {
	switch s.peek() {
	case '{':
		return kindObject, s.object(nil)
	case '[':
		return kindArray, s.array(nil)
	case '"':
		return kindString, s.text()
	case 't':
		return kindBool, s.word("true")
	case 'f':
		return kindBool, s.word("false")
	case 'n':
		return kindNull, s.word("null")
	}
	return kindNumber, s.number()
}

// object scans an object and appends its members to members, if not nil.
func (s *scanner) object(members *[]member) error {
	var names nameSet
	return s.list('}', func() error {
		name, err := s.name()
		if err != nil {
			return err
		}
		if !names.add(name) {
			return errDuplicate
		}
		v, err := s.value()
		if err == nil && members != nil {
			*members = append(*members, member{name: name, value: v})
		}
		return err
	})
}

// array scans an array and hands its elements to each, if not nil.
func (s *scanner) array(each func(value) error) error {
	return s.list(']', func() error {
		v, err := s.value()
		if err == nil && each != nil {
			return each(v)
		}
		return err
	})
}

// list scans what stands between the bracket at pos and end: items separated by
// commas.
func (s *scanner) list(end byte, item func() error) error {
	s.pos++
	s.depth++
	if s.depth > maxNesting {
		return errTooDeep
	}
	s.space()
	if s.accept(end) {
		s.depth--
		return nil
	}
	for {
		s.space()
		if err := item(); err != nil {
			return err
		}
		s.space()
		if s.accept(end) {
			s.depth--
			return nil
		}
		if !s.accept(',') {
			return errSyntax
		}
	}
}

// name scans a member's name up to its value and returns it decoded.
func (s *scanner) name() (string, error) {
	start := s.pos
	if err := s.text(); err != nil {
		return "", err
	}
	name := unquote(s.data[start:s.pos])
	s.space()
	if !s.accept(':') {
		return "", errSyntax
	}
	s.space()
	return name, nil
}

func (s *scanner) word(w string) error {
	if !strings.HasPrefix(s.data[s.pos:], w) {
		return errSyntax
	}
	s.pos += len(w)
	return nil
}

// number scans -?int frac? exp? (RFC 8259 §6).
func (s *scanner) number() error {
	s.accept('-')
	if !s.accept('0') && !s.digits() {
		return errSyntax
	}
	if s.accept('.') && !s.digits() {
		return errSyntax
	}
	if s.accept('e') || s.accept('E') {
		_ = s.accept('+') || s.accept('-')
		if !s.digits() {
			return errSyntax
		}
	}
	return nil
}

// digits scans one or more digits.
func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

// nameSet finds duplicates: by comparison in objects of common size, through a
// map in those made large to make comparison slow. The zero value is empty.
type nameSet struct {
	few   [16]string
	count int
	many  map[string]struct{}
}

// add reports whether name is new.
func (n *nameSet) add(name string) bool {
	if n.many == nil && n.count < len(n.few) {
		if slices.Contains(n.few[:n.count], name) {
			return false
		}
		n.few[n.count] = name
		n.count++
		return true
	}
	if n.many == nil {
		n.many = make(map[string]struct{}, 4*len(n.few))
		for _, seen := range n.few {
			n.many[seen] = struct{}{}
		}
	}
	before := len(n.many)
	n.many[name] = struct{}{}
	return len(n.many) > before
}
