package audit

import (
	"slices"
	"strings"
)

// An Object is a nested JSON object: what a record says in its metadata. The
// zero value is the empty object. Its members are written in byte order of
// their names, whatever their order here; of two members of a name the last is.
type Object []Member

// A Member is one name of an [Object] with its value.
type Member struct {
	Name  string
	Value Value
}

// A Value is a value inside an [Object]: null (the zero value), a boolean, an
// integer, a string of any bytes, a list or an object. Other numbers than
// integers are not in the format.
type Value struct {
	kind   kind
	num    int64
	str    string
	list   []Value
	object Object
}

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindString
	kindList
	kindObject
)

// String returns the value of a string. Bytes that are no UTF-8 are kept: see
// the package comment's `_b64`. In a list they have no name to stand under and
// are replaced.
func String(s string) Value { return Value{kind: kindString, str: s} }

// Int returns the value of an integer.
func Int(n int64) Value { return Value{kind: kindInt, num: n} }

// Bool returns the value of a boolean.
func Bool(b bool) Value {
	v := Value{kind: kindBool}
	if b {
		v.num = 1
	}
	return v
}

// List returns the value of a list. It keeps values.
func List(values ...Value) Value { return Value{kind: kindList, list: values} }

// Nested returns the value of an object. It keeps o.
func Nested(o Object) Value { return Value{kind: kindObject, object: o} }

// Str returns the string that v holds, and whether it holds one.
func (v Value) Str() (string, bool) { return v.str, v.kind == kindString }

// Int64 returns the integer that v holds, and whether it holds one.
func (v Value) Int64() (int64, bool) { return v.num, v.kind == kindInt }

// Values returns the elements of the list that v holds, nil if it holds none.
// The caller must not change them.
func (v Value) Values() []Value { return v.list }

// Object returns the object that v holds, nil if it holds none. The caller must
// not change it.
func (v Value) Object() Object { return v.object }

// Get returns the value under name, and whether there is one.
func (o Object) Get(name string) (Value, bool) {
	for i := range o {
		if o[i].Name == name {
			return o[i].Value, true
		}
	}
	return Value{}, false
}

// with returns o with the members of more, which replace those of the same name.
// Neither is changed.
func (o Object) with(more Object) Object {
	if len(more) == 0 {
		return o
	}
	all := make(Object, 0, len(o)+len(more))
	for _, m := range o {
		if _, replaced := more.Get(m.Name); !replaced {
			all = append(all, m)
		}
	}
	return append(all, more...)
}

// ints returns the integers of the list under name; ok is false unless every
// element is one.
func (o Object) ints(name string) (list []int64, ok bool) {
	v, found := o.Get(name)
	if !found || v.kind != kindList {
		return nil, false
	}
	for _, e := range v.list {
		n, isInt := e.Int64()
		if !isInt {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}

// append writes o in its canonical form.
func (o Object) append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range o.canonical() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, m.Name)
		dst = append(dst, ':')
		dst = m.Value.append(dst)
	}
	return append(dst, '}')
}

// canonical returns the members as they are written: each string that is no
// UTF-8 with its twin, all in byte order of their names, the last of each name.
// It returns o itself when that is o.
func (o Object) canonical() Object {
	if o.isCanonical() {
		return o
	}
	all := make(Object, 0, 2*len(o))
	for _, m := range o {
		m.Name = string([]rune(m.Name)) // as it is read
		all = append(all, m)
		if m.Value.kind == kindString && !validUTF8(m.Value.str) {
			all = append(all, Member{m.Name + twinSuffix, String(encodeTwin(m.Value.str))})
		}
	}
	slices.SortStableFunc(all, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	kept := all[:0]
	for i, m := range all {
		if i+1 == len(all) || all[i+1].Name != m.Name {
			kept = append(kept, m)
		}
	}
	return kept
}

func (o Object) isCanonical() bool {
	for i, m := range o {
		if !validUTF8(m.Name) || m.Value.kind == kindString && !validUTF8(m.Value.str) ||
			i > 0 && m.Name <= o[i-1].Name {
			return false
		}
	}
	return true
}

func (v Value) append(dst []byte) []byte {
	switch v.kind {
	case kindBool:
		return appendBool(dst, v.num == 1)
	case kindInt:
		return appendInt(dst, v.num)
	case kindString:
		return appendString(dst, v.str)
	case kindList:
		dst = append(dst, '[')
		for i, e := range v.list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.append(dst)
		}
		return append(dst, ']')
	case kindObject:
		return v.object.append(dst)
	default:
		return append(dst, "null"...)
	}
}
