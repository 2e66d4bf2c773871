package proxy

import (
	"net/http"
	"time"
)

// The stall timeout begins anew whenever something moves. On HTTP/1 the
// connection sees to what is written; a stream of HTTP/2 can stand still on a
// connection that moves, and has a deadline of its own.

// paceWrite gives the client until the stall timeout to take what is written
// next.
func (x *exchange) paceWrite() {
	if x.r.ProtoMajor >= 2 && x.takeBy.IsZero() {
		x.takeBy = time.Now().Add(x.h.StallTimeout)
		_ = http.NewResponseController(x.w).SetWriteDeadline(x.takeBy)
	}
}

// restWrite notes that the client has taken everything, unless it is too late:
// then the stream has been reset, and only the next write finds that.
func (x *exchange) restWrite() {
	if x.r.ProtoMajor >= 2 && !x.takeBy.IsZero() && time.Now().Before(x.takeBy) {
		x.takeBy = time.Time{}
		_ = http.NewResponseController(x.w).SetWriteDeadline(x.takeBy)
	}
}

// stalled reports whether the client took nothing for too long: of its stream, or
// of its connection.
func (x *exchange) stalled() bool {
	if !x.takeBy.IsZero() && !time.Now().Before(x.takeBy) {
		return true
	}
	c := connOf(x.r.Context())
	return c != nil && c.stalled.Load()
}
