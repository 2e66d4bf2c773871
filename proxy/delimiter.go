package proxy

import "bytes"

// A delimiterWatch looks whether all readers of a multipart body find the same
// parts in it (RFC 2046 §5.1.1). Some take `--boundary` with white space behind
// it, or behind a bare line feed, for a delimiter, and others for content: a
// client could have one file recorded and another processed.
type delimiterWatch struct {
	delimiter []byte // "--" and the boundary
	tail      []byte // the end of what was seen, where a delimiter may begin
	ambiguous bool
}

func newDelimiterWatch(boundary string) *delimiterWatch {
	return &delimiterWatch{
		delimiter: []byte("--" + boundary),
		tail:      []byte("\r\n"), // what stands before the body's first line
	}
}

// around is how many bytes on either side of a delimiter say what it is.
const around = 2

// write looks at the next bytes of the body.
func (d *delimiterWatch) write(p []byte) {
	if len(p) == 0 || d.ambiguous {
		return
	}
	reach := len(d.delimiter) + 2*around
	seam := append(d.tail, p[:min(len(p), reach)]...)
	d.judge(seam)
	if len(p) > reach {
		d.judge(p)
		seam = p
	}
	d.tail = append(make([]byte, 0, 2*reach), seam[max(0, len(seam)-reach):]...)
}

// judge looks at every delimiter in p that has both sides in it.
func (d *delimiterWatch) judge(p []byte) {
	for at := bytes.Index(p, d.delimiter); at >= 0; at = next(p, d.delimiter, at) {
		end := at + len(d.delimiter)
		if at < around || end+around > len(p) {
			continue
		}
		before, after := p[at-around:at], p[end:end+around]
		exact := string(before) == "\r\n" && (string(after) == "\r\n" || string(after) == "--")
		if before[1] == '\n' && !exact && bytes.IndexByte([]byte(" \t\r\n-"), after[0]) >= 0 {
			d.ambiguous = true
		}
	}
}

// next returns where p has the delimiter behind at, -1 if it has none there.
func next(p, delimiter []byte, at int) int {
	if i := bytes.Index(p[at+1:], delimiter); i >= 0 {
		return at + 1 + i
	}
	return -1
}
