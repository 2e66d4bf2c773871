package proxy

import (
	"net/http"
	"net/http/httptrace"
)

// A finalOnly keeps 1xx replies of the upstream from clients of HTTP/1.0, which
// take the first head for that of the reply (RFC 9110 §15.2).
type finalOnly struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t finalOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context()) // made for this request
	if trace != nil && !exchangeOf(r).r.ProtoAtLeast(1, 1) {
		trace.Got1xxResponse = nil
	}
	return t.RoundTripper.RoundTrip(r)
}
