package proxy

import (
	"net/http"
	"net/http/httptest"

	"tollbook/proxy/clerk"
)

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Outgoing is what leaves for the upstream, which is not called; nil if the
// request is refused before. Without a session it is that of a public route.
func (h *Handler) Outgoing(r *http.Request, session *clerk.Session) (out *http.Request) {
	x := h.newExchange(httptest.NewRecorder(), r)
	if h.screen(r) != nil {
		return nil
	}
	x.session = session
	reverse := *h.upstream
	reverse.Transport = roundTripFunc(func(r *http.Request) (*http.Response, error) {
		out = r
		return nil, errStopped
	})
	reverse.ErrorHandler = func(http.ResponseWriter, *http.Request, error) {}
	reverse.ServeHTTP(x.w, x.request())
	return out
}

// Classify is classify for a request that was not refused before; RouteNone if
// it was.
func (h *Handler) Classify(r *http.Request) RouteClass {
	if h.screen(r) != nil {
		return RouteNone
	}
	return h.classify(r)
}

// Arrival returns whom the request is believed to come from, and the
// X-Forwarded-For that the upstream gets.
func (h *Handler) Arrival(r *http.Request) (client, chain string) {
	a := h.arrivalOf(r)
	return a.client, a.chain
}

// StripCookie is stripCookie.
func StripCookie(header http.Header, name string) { stripCookie(header, name) }
