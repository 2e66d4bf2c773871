package proxy

import (
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
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

// maxInformational bounds the 1xx replies to one request. net/http's own bound is
// off where they are passed on.
const maxInformational = 100

var errInformational = errors.New("the upstream sends 1xx replies without end")

// informed counts the upstream's 1xx replies, on the goroutine that reads them.
func (x *exchange) informed(int, textproto.MIMEHeader) error {
	if x.informational++; x.informational > maxInformational {
		return errInformational
	}
	return nil
}
