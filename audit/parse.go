package audit

import (
	"encoding/base64"
	"strings"
)

// Parse reads one line, without its newline. It takes the canonical form only:
// [AppendRecord] of what it returns gives the same line again, but for the
// fields that it does not know, which are in Unknown. Errors say what is wrong
// and where, and never hold text of the line. Safe for concurrent use.
func Parse(line []byte) (*Record, error) {
	if len(line)+1 > MaxLine {
		return nil, errorf("audit: a line of %d bytes, at most %d with its newline", len(line)+1, MaxLine)
	}
	p := parser{scanner: scanner{line: string(line)}, record: new(Record)}
	if err := p.run(); err != nil {
		return nil, errorf("audit: %w", err)
	}
	return p.record, nil
}

// A parser walks along the line and the table of fields at once.
type parser struct {
	scanner
	record *Record
	next   int // place in the table of the first field that may still come
}

func (p *parser) run() error {
	if err := p.want("{"); err != nil {
		return err
	}
	for first := true; !p.take("}"); first = false {
		if !first {
			if err := p.want(","); err != nil {
				return err
			}
		}
		if err := p.member(); err != nil {
			return err
		}
	}
	if p.pos != len(p.line) {
		return errorf("bytes after the record at byte %d", p.pos)
	}
	if p.next < alwaysPresent {
		return errorf("%s is missing", fields[p.next].name)
	}
	if err := p.skip(len(fields)); err != nil {
		return err
	}
	return p.consistent()
}

// skip passes over the fields before the one at place next, which the line does
// not have: of those that stand together all must.
func (p *parser) skip(next int) error {
	for i := p.next; i < next; i++ {
		if fields[i].known(p.record) {
			return errorf("%s is missing", fields[i].name)
		}
	}
	return nil
}

func (p *parser) member() error {
	at := p.pos
	name, err := p.string()
	if err != nil {
		return err
	}
	if err := p.want(":"); err != nil {
		return err
	}
	if p.next < alwaysPresent {
		return p.present(name, at)
	}
	for i := p.next; i < len(fields); i++ {
		if fields[i].name == name {
			if err := p.skip(i); err != nil {
				return err
			}
			p.next = i + 1
			return named(name, p.parseField(fields[i]))
		}
	}
	return p.unknown(name, at)
}

// present reads the always-present field that is due.
func (p *parser) present(name string, at int) error {
	f := fields[p.next]
	if base, isTwin := strings.CutSuffix(name, twinSuffix); isTwin &&
		p.next > 0 && base == fields[p.next-1].name {
		return named(name, p.twin(fields[p.next-1]))
	}
	if name != f.name {
		return errorf("want the field %s at byte %d", f.name, at)
	}
	p.next++
	if _, nullable := f.codec.(text); nullable || f.name == "token_iat" {
		if p.take("null") {
			return nil
		}
	}
	return named(name, p.parseField(f))
}

func (p *parser) parseField(f field) error { return f.parse(&p.scanner, p.record) }

// unknown keeps a field that this version does not know, or reads the twin of
// the field before it. A known name that comes here came too late.
func (p *parser) unknown(name string, at int) error {
	if base, isTwin := strings.CutSuffix(name, twinSuffix); isTwin && base == fields[p.next-1].name {
		return named(name, p.twin(fields[p.next-1]))
	}
	for _, f := range fields {
		if f.name == name || f.name+twinSuffix == name {
			return errorf("the field %s stands twice or out of order at byte %d", f.name, at)
		}
	}
	for _, u := range p.record.Unknown {
		if u.Name == name {
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

// twin reads the base64 of a text that is no UTF-8 and puts its bytes in place
// of the readable form, which must be that of these bytes.
func (p *parser) twin(f field) error {
	field, isText := f.codec.(text)
	encoded, err := p.string()
	if err != nil {
		return err
	}
	if !isText {
		return errorf("is not the base64 of a text")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	value := field(p.record)
	if err != nil || encodeTwin(string(raw)) != encoded || validUTF8(string(raw)) ||
		strings.ToValidUTF8(*value, "") != *value ||
		string(appendString(nil, string(raw))) != string(appendString(nil, *value)) {
		return errorf("is not the base64 of a text that is no UTF-8 and reads like the field before it")
	}
	*value = string(raw)
	return nil
}

func named(name string, err error) error {
	if err != nil {
		return errorf("field %s: %w", name, err)
	}
	return nil
}
