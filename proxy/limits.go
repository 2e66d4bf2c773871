package proxy

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"tollbook/proxy/clerk"
)

// A places counts what is in use of something bounded. Half of it can be had by
// requests that nobody answers for: those who are known must not be shut out by
// whoever finds a public route that is slow.
type places struct {
	max    int64 // 0 means no bound
	n      atomic.Int64
	nobody atomic.Int64 // those of n without a user
}

// take reports whether there was room; then it must be given back.
func (p *places) take(known bool) bool {
	if !known && !takeOne(&p.nobody, (p.max+1)/2) {
		return false
	}
	if takeOne(&p.n, p.max) {
		return true
	}
	if !known {
		p.nobody.Add(-1)
	}
	return false
}

func (p *places) give(known bool) {
	p.n.Add(-1)
	if !known {
		p.nobody.Add(-1)
	}
}

func takeOne(n *atomic.Int64, most int64) bool {
	if now := n.Add(1); most > 0 && now > most {
		n.Add(-1)
		return false
	}
	return true
}

// InFlight returns the number of ordinary requests in flight.
func (h *Handler) InFlight() int64 { return h.requests.n.Load() }

// Streams returns the number of tunnels, event streams and gRPC calls.
func (h *Handler) Streams() int64 { return h.streams.n.Load() }

// isStream reports whether the request may last: it asks for a tunnel, or is a
// gRPC call. An event stream is known by its reply.
func isStream(r *http.Request) bool { return isWebSocket(r) || isGRPC(r.Header) }

// isGRPC reports whether the content is that of gRPC, which may be quiet for as
// long as it likes in both directions.
func isGRPC(header http.Header) bool {
	return hasPrefixFold(header.Get("Content-Type"), "application/grpc")
}

func isEventStream(header http.Header) bool {
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// enter takes a place for the request; false means that there is none.
func (x *exchange) enter() bool {
	x.place = &x.h.requests
	if isStream(x.r) {
		x.place = &x.h.streams
	}
	if x.place.take(x.known()) {
		return true
	}
	x.place = nil
	return false
}

// known reports whether somebody answers for the request.
func (x *exchange) known() bool { return x.class == RouteProtected }

// done gives the place back and counts the request.
func (x *exchange) done() {
	if x.place != nil {
		x.place.give(x.known())
	}
	if x.lifetime != nil {
		x.lifetime.Stop()
	}
	x.h.Metrics.Request(x.class, x.sent, x.h.Now().Sub(x.start))
}

// becomeStream moves the exchange to the streams, where there is a place, and
// bounds its life.
func (x *exchange) becomeStream() error {
	if x.place != &x.h.streams {
		if !x.h.streams.take(x.known()) {
			return errOverloaded
		}
		x.place.give(x.known())
		x.place = &x.h.streams
	}
	if d, bounded := x.h.lifetime(x.session); bounded && x.lifetime == nil {
		x.lifetime = time.AfterFunc(d, func() { x.cancel(errLifetime) })
	}
	return nil
}

// lifetime returns how long a stream may last from now on.
func (h *Handler) lifetime(session *clerk.Session) (d time.Duration, bounded bool) {
	if !h.TokenLifetime || session == nil {
		return h.StreamLifetime, h.StreamLifetime > 0
	}
	d = max(session.ExpiresAt.Time().Add(h.Leeway).Sub(h.Now()), 0)
	if h.StreamLifetime > 0 {
		d = min(d, h.StreamLifetime)
	}
	return d, true
}
