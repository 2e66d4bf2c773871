package audit

import (
	"encoding/base64"
	"strings"
	"sync"
)

// Parse reads one line, without its newline. It takes the canonical form only:
// [AppendRecord] of what it returns gives the same line again, but for the
// fields that it does not know, which are in Unknown. Errors say what is wrong
// and where, and never hold text of the line. Safe for concurrent use.
func Parse(line []byte) (*Record, error) {
	if len(line)+1 > MaxLine {
		return nil, errorf("audit: a line of %d bytes, at most %d with its newline", len(line)+1, MaxLine)
	}
	p := parsers.Get().(*parser)
	r := new(Record)
	if err := p.run(string(line), r); err != nil {
		return nil, errorf("audit: %w", err)
	}
	p.line, p.record = "", nil
	parsers.Put(p)
	return r, nil
}

// parsers holds those that have read a line to its end, which leaves nothing of
// it behind.
var parsers = sync.Pool{New: func() any { return new(parser) }}

// A parser walks along the line and the table of fields at once. The texts of the
// record are parts of the line.
type parser struct {
	scanner
	record *Record
	next   int // place in the table of the first field that may still come
}

func (p *parser) run(line string, r *Record) error {
	p.record, p.next = r, 0
	if err := p.start(line); err != nil {
		return err
	}
	for p.next < alwaysPresent {
		if err := p.present(); err != nil {
			return err
		}
	}
	for !p.take("}") {
		if err := p.optional(); err != nil {
			return err
		}
	}
	if p.pos != len(p.line) {
		return errorf("bytes after the record at byte %d", p.pos)
	}
	if err := p.together(); err != nil {
		return err
	}
	return p.consistent()
}

// present reads the always-present field that is due, or the twin of the one
// before it.
func (p *parser) present() error {
	if !p.take(keys[p.next]) {
		if p.next > 0 && p.take(twinKey(p.next-1)) {
			return p.twin()
		}
		return errorf("want the field %s at byte %d", fields[p.next].name, p.pos)
	}
	f := &fields[p.next]
	p.next++
	if p.peek() == 'n' && f.nullable() {
		return p.want("null")
	}
	return named(f.name, f.parse(&p.scanner, p.record))
}

// nullable reports whether an always-present field may be null.
func (f *field) nullable() bool {
	_, isText := f.codec.(text)
	return isText || f.name == "token_iat"
}

// optional reads a field behind the always-present ones: the first of the rest
// of the table that the line has, a twin, or one that is not in the table.
func (p *parser) optional() error {
	for i := p.next; i < len(fields); i++ {
		if !p.take(keys[i]) {
			continue
		}
		if i > p.next {
			if err := p.together(); err != nil {
				return err
			}
		}
		p.next = i + 1
		return named(fields[i].name, fields[i].parse(&p.scanner, p.record))
	}
	if p.take(twinKey(p.next - 1)) {
		return p.twin()
	}
	return p.unknown()
}

// together checks, where the next field of the table is not on the line, that it
// need not be: a field that the ones before it have made known must stand there.
func (p *parser) together() error {
	if p.next < len(fields) && fields[p.next].known(p.record) {
		return errorf("%s is missing", fields[p.next].name)
	}
	return nil
}

// unknown keeps a field that this version does not know. A name of the table that
// comes here came too late.
func (p *parser) unknown() error {
	if err := p.want(","); err != nil {
		return err
	}
	at := p.pos
	name, err := p.string()
	if err != nil {
		return err
	}
	if err := p.want(":"); err != nil {
		return err
	}
	base := strings.TrimSuffix(name, twinSuffix)
	for i := range fields {
		if fields[i].name == name || fields[i].name == base {
			return errorf("the field %s stands twice or out of order at byte %d", fields[i].name, at)
		}
	}
	for i := range p.record.Unknown {
		if p.record.Unknown[i].Name == name {
			return errorf("an unknown field stands twice at byte %d", at)
		}
	}
	start := p.pos
	if _, err := p.value(0); err != nil {
		return err
	}
	p.record.Unknown = append(p.record.Unknown, RawField{name, p.line[start:p.pos]})
	return nil
}

// twin reads the base64 of a text that is no UTF-8, of the field that was read
// last, and puts its bytes in place of the readable form, which must be that of
// these bytes.
func (p *parser) twin() error {
	f := &fields[p.next-1]
	field, isText := f.codec.(text)
	encoded, err := p.string()
	if err != nil {
		return named(f.name+twinSuffix, err)
	}
	if !isText {
		return named(f.name+twinSuffix, errorf("is not the base64 of a text"))
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	value := field(p.record)
	if err != nil || encodeTwin(string(raw)) != encoded || validUTF8(string(raw)) ||
		!validUTF8(*value) ||
		string(appendString(nil, string(raw))) != string(appendString(nil, *value)) {
		return named(f.name+twinSuffix,
			errorf("is not the base64 of a text that is no UTF-8 and reads like the field before it"))
	}
	*value = string(raw)
	return nil
}

func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return errorf("field %s: %w", name, err)
}
