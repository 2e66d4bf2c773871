package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"iter"
	"mime"
	"mime/multipart"
	"strings"

	"tollbook/audit"
)

// What is looked at of a multipart body at the most. A body beyond a bound is
// forwarded like any other; only the rest of its parts is not told of.
const (
	maxParts       = 1000     // as Go and Starlette take of a form
	maxFiles       = 32       // told of one by one
	maxPartHeaders = 64 << 10 // bytes between two parts' contents
)

// An upload reads a multipart body as it passes, chunk by chunk, and takes the
// digests of its files. The parser is a coroutine: it runs on the goroutine that
// writes and stops where it needs more. A nil upload ignores everything.
type upload struct {
	watch *delimiterWatch // nil if there is no parser
	next  func() (struct{}, bool)
	halt  func()
	chunk []byte // not yet parsed
	eof   bool   // no more will come
	done  bool   // the parser has returned

	budget  int // bytes that the parser may still read of part headers
	parts   int
	files   []audit.Value
	omitted int64
	failed  bool // the parser gave up within the body
	unnamed bool // a part may be a file and can't be told of
}

// newUpload returns nil if the content type is not that of a multipart body. One
// that only others may understand is an upload of which nothing can be told.
func newUpload(contentType string) *upload {
	media, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil && hasPrefixFold(strings.TrimSpace(contentType), "multipart/"):
		return &upload{done: true, unnamed: true, halt: func() {}}
	case err != nil, !strings.HasPrefix(media, "multipart/"), params["boundary"] == "":
		return nil
	}
	u := &upload{watch: newDelimiterWatch(params["boundary"])}
	u.next, u.halt = iter.Pull(func(yield func(struct{}) bool) {
		u.failed = !u.parse(multipart.NewReader(feed{u, yield}, params["boundary"]))
	})
	return u
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// write parses p, which is not kept.
func (u *upload) write(p []byte) {
	if u == nil || u.watch == nil || len(p) == 0 {
		return
	}
	u.watch.write(p)
	if u.done {
		return
	}
	u.chunk = p
	u.resume()
	u.chunk = nil
}

func (u *upload) resume() {
	if _, more := u.next(); !more {
		u.done = true
	}
}

// stop ends the parser. No other call but metadata may follow.
func (u *upload) stop() {
	if u != nil {
		u.done = true
		u.halt()
	}
}

// metadata tells of the files that were seen whole; complete says that the body
// has ended.
func (u *upload) metadata(complete bool) audit.Object {
	if u == nil {
		return nil
	}
	if complete && !u.done {
		u.eof = true
		u.resume()
	}
	var o audit.Object
	if len(u.files) > 0 {
		o = append(o, audit.Member{Name: "files", Value: audit.List(u.files...)})
	}
	if u.watch != nil && u.watch.ambiguous {
		o = append(o, audit.Member{Name: "files_ambiguous", Value: audit.Bool(true)})
	}
	if u.failed && (u.parts > 0 || u.budget < 0) || u.unnamed {
		o = append(o, audit.Member{Name: "files_incomplete", Value: audit.Bool(true)})
	}
	if u.omitted > 0 {
		o = append(o, audit.Member{Name: "files_omitted", Value: audit.Int(u.omitted)})
	}
	return o
}

// parse reports whether it came to the closing boundary.
func (u *upload) parse(body *multipart.Reader) bool {
	for ; ; u.parts++ {
		u.budget = maxPartHeaders
		part, err := body.NextRawPart()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		u.budget = -1
		if u.parts == maxParts || !u.part(part) {
			return false
		}
	}
}

// part digests a part that is a file, and reports whether its end was reached.
func (u *upload) part(part *multipart.Part) bool {
	disposition := strings.Join(part.Header["Content-Disposition"], "; ")
	_, params, err := mime.ParseMediaType(disposition)
	filename, isFile := params["filename"]
	if err != nil || !isFile {
		u.unnamed = u.unnamed || mentions(disposition) > mentions(params["name"])
		_, err := io.Copy(io.Discard, part)
		return err == nil
	}
	sum := sha256.New()
	size, err := io.Copy(sum, part)
	switch {
	case err != nil:
		return false
	case len(u.files) == maxFiles:
		u.omitted++
	default:
		u.files = append(u.files, audit.Nested(audit.Object{
			{Name: "field", Value: audit.String(params["name"])},
			{Name: "filename", Value: audit.String(filename)},
			{Name: "sha256", Value: audit.String(hex.EncodeToString(sum.Sum(nil)))},
			{Name: "size_bytes", Value: audit.Int(size)},
		}))
	}
	return true
}

// mentions counts the filenames in a text: an upstream may find one where Go's
// parser does not, in a parameter that stands twice, say.
func mentions(s string) int { return strings.Count(strings.ToLower(s), "filename") }

var errPartHeaders = errors.New("too many bytes of part headers")

// A feed is what the parser reads from: it hands out the chunk, then waits for
// the next.
type feed struct {
	u     *upload
	yield func(struct{}) bool
}

func (f feed) Read(p []byte) (int, error) {
	for len(f.u.chunk) == 0 {
		if f.u.eof {
			return 0, io.EOF
		}
		if !f.yield(struct{}{}) {
			return 0, errStopped
		}
	}
	n := copy(p, f.u.chunk)
	f.u.chunk = f.u.chunk[n:]
	if f.u.budget >= 0 {
		if f.u.budget -= n; f.u.budget < 0 {
			return 0, errPartHeaders
		}
	}
	return n, nil
}
