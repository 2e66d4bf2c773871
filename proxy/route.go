package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"tollbook/audit"
)

// An Event names a route in the trail.
type Event struct {
	// Name is the event_type; not auth_failure, system or request.
	Name string
	// Pattern is one of [http.ServeMux]. Its wildcards job_id and status become
	// these fields of the record, others stand in its metadata's fields.
	Pattern string
}

// An events finds the name of a request's route. It is safe for concurrent use.
type events struct{ mux *http.ServeMux }

func newEvents(list []Event) (_ *events, err error) {
	e := &events{mux: http.NewServeMux()}
	for _, event := range list {
		route := namedRoute{event.Name, wildcards(event.Pattern)}
		if err := register(e.mux, event.Pattern, route); err != nil {
			return nil, fmt.Errorf("event %s: %w", event.Name, err)
		}
	}
	return e, nil
}

// wildcards returns the names in the pattern's braces.
func wildcards(pattern string) (names []string) {
	for _, part := range strings.Split(pattern, "{")[1:] {
		name, _, _ := strings.Cut(part, "}")
		if name = strings.TrimSuffix(name, "..."); name != "" && name != "$" {
			names = append(names, name)
		}
	}
	return names
}

// describe sets the record's event type, and the fields that the path holds. A
// path that matches nothing as it was sent is matched decoded and cleaned.
func (e *events) describe(record *audit.Record, r *http.Request) {
	record.EventType = audit.EventRequest
	e.mux.ServeHTTP(&match{record: record}, r)
	if record.EventType != audit.EventRequest {
		return
	}
	// As an upstream may read it: /jobs%2F7 and //jobs/7 are /jobs/7 to some.
	if read := path.Clean("/" + r.URL.Path); read != r.URL.EscapedPath() {
		e.mux.ServeHTTP(&match{record: record}, &http.Request{
			Method: r.Method, Host: r.Host, URL: &url.URL{Path: read},
		})
	}
}

// A namedRoute is what the mux calls for a route with a name; it answers nothing.
type namedRoute struct {
	name      string
	wildcards []string
}

func (n namedRoute) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, ok := w.(*match)
	if !ok {
		return
	}
	m.record.EventType = n.name
	var fields audit.Object
	for _, name := range n.wildcards {
		switch value := r.PathValue(name); name {
		case "job_id":
			m.record.JobID = value
		case "status":
			m.record.Status = value
		default:
			fields = append(fields, audit.Member{Name: name, Value: audit.String(value)})
		}
	}
	if fields != nil {
		m.record.Metadata = audit.Object{{Name: "fields", Value: audit.Nested(fields)}}
	}
}

// A match is where the mux leaves what it found: a ResponseWriter that takes no
// reply, since what the mux says of other routes is not ours to say.
type match struct {
	record *audit.Record
	header http.Header
}

func (m *match) Header() http.Header {
	if m.header == nil {
		m.header = make(http.Header)
	}
	return m.header
}

func (m *match) Write(p []byte) (int, error) { return len(p), nil }

func (m *match) WriteHeader(int) {}
