package audit

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A record that fits its line is written whole. Of one that doesn't, each text
// is cut to its share of the line, in encoded bytes, and what was cut is told in
// truncated. If it still doesn't fit, the shares are halved until it does.
const (
	shareLong     = 3 << 10 // path and query
	shareMiddle   = 1 << 10 // what a person may want to read in full
	shareShort    = 512     // identifiers that others make
	shareOther    = 256     // the rest
	shareMetadata = 256     // each text inside metadata
	shareList     = 8 << 10 // each list in metadata
	maxScale      = 32
)

func share(name string) int {
	switch name {
	case "http_path", "http_query":
		return shareLong
	case "user_agent", "change_reason", "alcoa_attributable":
		return shareMiddle
	case "job_id", "user_email", "http_host":
		return shareShort
	default:
		return shareOther
	}
}

// fit encodes r, cut so that it fits its line, and reports whether it does.
func (d *draft) fit(r *Record) bool {
	whole := *r
	for scale := 1; scale <= maxScale; scale *= 2 {
		*r = whole
		r.Truncated = slices.Clone(whole.Truncated)
		r.fit(scale)
		if d.encode(r); d.maxLen() <= MaxLine {
			return true
		}
	}
	return false
}

// fit cuts the texts of r to their shares, each divided by scale.
func (r *Record) fit(scale int) {
	for i := range fields {
		f := &fields[i]
		value, isText := f.codec.(text)
		if !isText {
			continue
		}
		*value(r) = r.cut(f.name, *value(r), share(f.name)/scale)
	}
	r.fitMetadata(scale)
}

// cut returns what is kept of the field's text, and tells of what is not. Of a
// text that a record before this one had cut already, that record's word counts.
func (r *Record) cut(field, whole string, limit int) string {
	kept := cutTo(whole, limit)
	told := func(c Cut) bool { return c.Field == field }
	if len(kept) < len(whole) && !slices.ContainsFunc(r.Truncated, told) {
		r.Truncated = append(r.Truncated,
			Cut{Field: field, Bytes: int64(len(whole)), SHA256: sha256.Sum256([]byte(whole))})
	}
	return kept
}

// cutTo returns the longest start of s that takes at most limit bytes on the
// line and does not cut a character in two.
func cutTo(s string, limit int) string {
	if len(s) <= limit && encodedLen(s) <= limit {
		return s
	}
	end, invalid := 0, false
	for n := 0; end < len(s); {
		r, size := utf8.DecodeRuneInString(s[end:])
		n += runeLen(r)
		invalid = invalid || r == utf8.RuneError && size == 1
		twin := 0
		if invalid {
			twin = (end + size + 2) / 3 * 4
		}
		if n+twin > limit {
			break
		}
		end += size
	}
	return s[:end]
}

// omittedSuffix is what the name of a list has behind it where the elements are
// counted that are not on the line.
const omittedSuffix = "_omitted"

// fitMetadata cuts the texts in metadata, and leaves out the ends of lists that
// are too long for the line.
func (r *Record) fitMetadata(scale int) {
	fitted := make(Object, 0, len(r.Metadata))
	var counts Object
	for _, m := range r.Metadata {
		path := "metadata." + m.Name
		if m.Value.kind != kindList {
			fitted = append(fitted, Member{m.Name, r.fitValue(path, m.Value, scale)})
			continue
		}
		kept, omitted := r.fitList(path, m.Value, scale)
		fitted = append(fitted, Member{m.Name, kept})
		if omitted > 0 {
			before, _ := r.Metadata.Get(m.Name + omittedSuffix)
			counts = append(counts, Member{m.Name + omittedSuffix, Int(before.num + omitted)})
		}
	}
	r.Metadata = fitted.with(counts)
}

// fitList returns the elements that fit the list's share, their texts cut, and
// how many do not.
func (r *Record) fitList(path string, v Value, scale int) (kept Value, omitted int64) {
	room := shareList / scale
	var list []Value
	for i, e := range v.list {
		before := len(r.Truncated)
		e = r.fitValue(path+"["+strconv.Itoa(i)+"]", e, scale)
		room -= len(e.append(nil)) + 1
		for j := range r.Truncated[before:] {
			room -= len(r.Truncated[before+j].append(nil)) + 1
		}
		if room < 0 {
			r.Truncated = r.Truncated[:before]
			return List(list...), int64(len(v.list) - i)
		}
		list = append(list, e)
	}
	return List(list...), 0
}

func (r *Record) fitValue(path string, v Value, scale int) Value {
	switch v.kind {
	case kindString:
		v.str = r.cut(path, v.str, shareMetadata/scale)
	case kindList:
		list := make([]Value, len(v.list))
		for i, e := range v.list {
			list[i] = r.fitValue(path+"["+strconv.Itoa(i)+"]", e, scale)
		}
		v.list = list
	case kindObject:
		o := make(Object, len(v.object))
		for i, m := range v.object {
			o[i] = Member{m.Name, r.fitValue(path+"."+m.Name, m.Value, scale)}
		}
		v.object = o
	}
	return v
}
