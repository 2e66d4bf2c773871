package proxy

import (
	"net/http"
	"time"

	"tollbook/audit"
)

// Bounds that tests go up to.
const (
	MaxParts = maxParts
	MaxFiles = maxFiles
)

// UploadMetadata is what the trail tells of a body that came in these chunks.
func UploadMetadata(contentType string, complete bool, chunks ...[]byte) audit.Object {
	u := newUpload(contentType)
	defer u.stop()
	for _, chunk := range chunks {
		u.write(chunk)
	}
	return u.metadata(complete)
}

// Lift returns the fields of a reply's content.
func Lift(names []string, res http.Response, content []byte) map[string]string {
	l := newLifter(names, &res)
	l.add(content)
	texts := make(map[string]string)
	for name, value := range l.fields() {
		if text, ok := value.Str(); ok {
			texts[name] = text
		}
	}
	return texts
}

// A Throttle is what slows a flood of refusals down.
type Throttle struct{ throttle }

// Enter is as in the product.
func (t *Throttle) Enter(now time.Time) time.Duration { return t.enter(now) }

// Bounds of a Throttle.
const (
	RefusalRate  = refusalRate
	RefusalBurst = refusalBurst
	RefusalWait  = refusalWait
)

// Flood makes it as if a flood of refusals had begun that ends in an hour.
func (h *Handler) Flood() {
	h.unknown.mu.Lock()
	defer h.unknown.mu.Unlock()
	h.unknown.due = time.Now().Add(time.Hour)
}

// SlowBytes is what is read between two waits.
const SlowBytes = slowBytes

// Serving reports whether Serve has been called.
func (s *Server) Serving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.listeners) > 0
}
