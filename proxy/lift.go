package proxy

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"

	"tollbook/audit"
)

// liftBytes is how long a reply may be for its fields to be read, before and
// after decompression.
const liftBytes = 64 << 10

// A lifter keeps a short JSON reply as it passes, to read fields from it. A nil
// lifter keeps nothing.
type lifter struct {
	names   []string
	gzipped bool
	content []byte
}

// newLifter returns nil for a reply that has no fields to read: of another status
// than 2xx, another type or encoding, too long.
func newLifter(names []string, res *http.Response) *lifter {
	if len(names) == 0 || res.StatusCode < 200 || res.StatusCode > 299 ||
		res.ContentLength > liftBytes {
		return nil
	}
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return nil
	}
	switch res.Header.Get("Content-Encoding") {
	case "", "identity":
		return &lifter{names: names}
	case "gzip":
		return &lifter{names: names, gzipped: true}
	default:
		return nil
	}
}

func (l *lifter) add(p []byte) {
	if l == nil || l.names == nil {
		return
	}
	if len(l.content)+len(p) > liftBytes {
		l.names, l.content = nil, nil
		return
	}
	l.content = append(l.content, p...)
}

// fields returns the values of the named top-level fields that the reply has:
// strings as they are, numbers as their text, others as null. Of a name that
// stands twice the last counts, as it does to most readers.
func (l *lifter) fields() map[string]audit.Value {
	if l == nil || l.names == nil {
		return nil
	}
	content := l.content
	if l.gzipped {
		content = gunzip(content)
	}
	if !json.Valid(content) {
		return nil
	}
	found := make(map[string]audit.Value, len(l.names))
	eachMember(content, func(name string, value []byte) {
		if !slices.Contains(l.names, name) {
			return
		}
		switch c := value[0]; {
		case c == '"':
			found[name] = audit.String(unquote(value))
		case c == '-' || c >= '0' && c <= '9':
			found[name] = audit.String(string(value))
		default:
			found[name] = audit.Value{}
		}
	})
	return found
}

// gunzip returns nil for what is no gzip or becomes too long.
func gunzip(content []byte) []byte {
	in, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(in, liftBytes+1))
	if err != nil || len(out) > liftBytes {
		return nil
	}
	return out
}

// liftFields notes what the reply says of the job. What the path says wins.
func (x *exchange) liftFields(l *lifter) {
	found := l.fields()
	x.jobID, _ = found["job_id"].Str()
	x.status, _ = found["status"].Str()
	delete(found, "job_id")
	delete(found, "status")
	if len(found) == 0 {
		return
	}
	var members audit.Object
	if v, ok := x.record.Metadata.Get("fields"); ok {
		members = slices.Clone(v.Object())
	}
	for name, value := range found {
		if _, taken := members.Get(name); !taken {
			members = append(members, audit.Member{Name: name, Value: value})
		}
	}
	x.fields = audit.Object{{Name: "fields", Value: audit.Nested(members)}}
}
