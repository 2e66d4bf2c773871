package audit

import (
	"crypto/sha256"
	"strconv"
	"unicode/utf8"
)

// A record that fits its line is written whole. Of one that doesn't, each text
// is cut to its share of the line, in encoded bytes, and what was cut is told in
// truncated. The shares are such that the sum always fits.
const (
	shareLong     = 3 << 10 // path and query
	shareMiddle   = 1 << 10 // what a person may want to read in full
	shareShort    = 512     // identifiers that others make
	shareOther    = 256     // the rest
	shareMetadata = 256     // each text inside metadata
	filesShare    = 8 << 10 // all that metadata says of files
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

// fit cuts the texts of r to their shares.
func (r *Record) fit() {
	for i := range fields {
		f := &fields[i]
		value, isText := f.codec.(text)
		if !isText {
			continue
		}
		if kept := cutTo(*value(r), share(f.name)); len(kept) < len(*value(r)) {
			r.Truncated = append(r.Truncated, newCut(f.name, *value(r)))
			*value(r) = kept
		}
	}
	r.fitMetadata()
}

func newCut(field, whole string) Cut {
	return Cut{Field: field, Bytes: int64(len(whole)), SHA256: sha256.Sum256([]byte(whole))}
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

// fitMetadata cuts the texts in metadata, and leaves out the files that are too
// many for the line: files_omitted counts them.
func (r *Record) fitMetadata() {
	fitted := make(Object, 0, len(r.Metadata)+1)
	var omitted int64
	for _, m := range r.Metadata {
		switch m.Name {
		case "files":
			m.Value, omitted = r.fitFiles(m.Value)
		case "files_omitted":
			continue
		default:
			m.Value = r.fitValue("metadata."+m.Name, m.Value)
		}
		fitted = append(fitted, m)
	}
	if v, ok := r.Metadata.Get("files_omitted"); ok {
		n, _ := v.Int64()
		omitted += n
	}
	if omitted > 0 {
		fitted = append(fitted, Member{"files_omitted", Int(omitted)})
	}
	r.Metadata = fitted
}

func (r *Record) fitFiles(files Value) (kept Value, omitted int64) {
	room := filesShare
	var list []Value
	for i, file := range files.list {
		before := len(r.Truncated)
		file = r.fitValue("metadata.files["+strconv.Itoa(i)+"]", file)
		room -= len(file.append(nil)) + 1
		for _, c := range r.Truncated[before:] {
			room -= len(c.value().append(nil)) + 1
		}
		if room < 0 {
			r.Truncated = r.Truncated[:before]
			return List(list...), int64(len(files.list) - i)
		}
		list = append(list, file)
	}
	return List(list...), 0
}

func (r *Record) fitValue(path string, v Value) Value {
	switch v.kind {
	case kindString:
		if kept := cutTo(v.str, shareMetadata); len(kept) < len(v.str) {
			r.Truncated = append(r.Truncated, newCut(path, v.str))
			v.str = kept
		}
	case kindObject:
		o := make(Object, len(v.object))
		for i, m := range v.object {
			o[i] = Member{m.Name, r.fitValue(path+"."+m.Name, m.Value)}
		}
		v.object = o
	}
	return v
}
