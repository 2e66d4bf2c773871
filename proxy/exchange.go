package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"time"

	"go.uber.org/zap"

	"tollbook/audit"
	"tollbook/proxy/clerk"
)

// An exchange is one request on its way, and its reply. ReverseProxy's hooks find
// it in the request's context. Its methods run on the handler's goroutine.
type exchange struct {
	h       *Handler
	w       http.ResponseWriter
	r       *http.Request
	start   time.Time
	arrival arrival
	class   RouteClass
	record  audit.Record    // what is known of the request
	session *clerk.Session  // nil where the route needs none
	trail   *audit.Exchange // nil before begin
	upgrade bool            // a WebSocket is asked for

	byCookie bool                    // the token is in the cookie
	place    *places                 // nil before enter
	ctx      context.Context         // of the forwarded request; r's before
	cancel   context.CancelCauseFunc // ends it; nil if nothing but the client may
	lifetime *time.Timer             // nil unless it is a stream with a bound
	forward  time.Time               // when it was forwarded
	takeBy   time.Time               // when the client has stalled; HTTP/2 only

	req            *requestBody  // nil if there is none
	res            *responseBody // nil before there is one
	tunnel         *tunnel       // nil unless protocols were switched
	connected      bool          // there was a connection to the upstream
	informational  int           // 1xx replies so far
	upstreamStatus int           // 0 before there is a reply
	sent           int           // status that the client has, or is about to have
	fields         audit.Object  // lifted from the reply
	jobID, status  string        // likewise
	closed         bool
	closeErr       error
}

// exchangeKey is the context key of the exchange.
type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange {
	return r.Context().Value(exchangeKey{}).(*exchange) //nolint:forcetypeassert // set by begin
}

func (h *Handler) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{h: h, w: w, r: r, ctx: r.Context(), start: h.Now(), arrival: h.arrivalOf(r)}
	x.describeRequest()
	return x
}

// refuse answers without the upstream, and records that. A client that has left
// gets no answer; why it would have been refused is recorded all the same.
func (x *exchange) refuse(rep reply) {
	x.record.Reason = rep.reason
	if !x.left() {
		x.record.HTTPStatus = int64(rep.status)
	}
	if isAuthFailure(rep.status) {
		x.record.EventType = audit.EventAuthFailure
	}
	x.h.Trail.Refuse(&x.record)
	x.turnAway(rep)
}

// turnAway answers without the upstream, of which the trail knows.
func (x *exchange) turnAway(rep reply) {
	if !x.left() {
		x.sent = rep.status
	}
	x.h.Metrics.Refused(rep.reason)
	x.h.Log.Debug("refused", zap.String("reason", rep.reason), zap.Int("status", rep.status),
		zap.String("request_id", x.record.RequestID))
	x.slowDown()
	x.answer(rep)
}

// answer writes the reply, unless the client has left.
func (x *exchange) answer(rep reply) {
	if x.left() || rep.status == 0 {
		panic(http.ErrAbortHandler) // to return would be an empty 200
	}
	if x.r.Body != nil && x.r.Body != http.NoBody {
		// net/http reads what it can of the body first, so that the connection
		// can be used again: a client that does not send it must not hold us.
		_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(unreadBodyWait))
	}
	x.write(rep)
}

// left reports whether the client went away: not that we cut it off.
func (x *exchange) left() bool { return x.r.Context().Err() != nil && x.h.base.Err() == nil }

// unreadBodyWait is how long a refused client has to send its body, which nobody
// wants, before it gets its reply and loses its connection.
const unreadBodyWait = time.Second

// begin records the request; when it returns nil, that is durable.
func (x *exchange) begin(session *clerk.Session) (err error) {
	x.session = session
	if c := connOf(x.r.Context()); c != nil && session != nil {
		c.known.Store(true)
	}
	x.trail, err = x.h.Trail.Begin(x.r.Context(), &x.record)
	if err != nil {
		x.h.Log.Debug("audit begin", zap.Error(err), zap.String("request_id", x.record.RequestID))
	}
	return err
}

// unbegun answers a request that could not be recorded. One whose record was
// under way all the same is closed by the trail itself.
func (x *exchange) unbegun(err error) {
	rep := reply{reason: "client_aborted"}
	switch {
	case errors.Is(err, errDraining):
		rep = replyDraining
	case errors.Is(err, audit.ErrUnavailable):
		rep = replyAuditUnavailable
	}
	if errors.Is(err, audit.ErrTaken) {
		x.turnAway(rep)
		return
	}
	x.refuse(rep)
}

// request returns the request as it is forwarded: it carries the exchange, and
// its body is digested on the way.
func (x *exchange) request() *http.Request {
	r := x.r
	hasBody := r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 // HTTP/2 has no NoBody
	if x.h.StreamLifetime > 0 || x.h.TokenLifetime || hasBody && x.h.UpstreamStall > 0 {
		x.ctx, x.cancel = context.WithCancelCause(x.ctx)
	}
	x.ctx = context.WithValue(x.ctx, exchangeKey{}, x)
	x.ctx = httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{
		GotConn:        func(httptrace.GotConnInfo) { x.connected = true },
		WroteRequest:   func(httptrace.WroteRequestInfo) { x.req.written() },
		Got1xxResponse: x.informed,
	})
	x.forward = x.h.Now()
	r = r.WithContext(x.ctx)
	if hasBody {
		x.req = newRequestBody(x, r)
		r.Body = x.req
	}
	if x.place == &x.h.streams {
		_ = x.becomeStream() // it has its place
	}
	return r
}

// finish records the outcome; when it returns nil, that is durable and the end of
// the reply may leave. Only the first call counts.
func (x *exchange) finish(outcome audit.Outcome, reason string) error {
	if x.closed {
		return x.closeErr
	}
	x.closed = true
	result := audit.Result{
		Outcome: outcome, Reason: reason, JobID: x.jobID, Status: x.status,
		HTTPStatus: x.sent, UpstreamStatus: x.upstreamStatus,
		Duration: max(x.h.Now().Sub(x.start), time.Microsecond),
		Req:      x.requestDigest(), Metadata: x.fields,
	}
	switch {
	case x.tunnel != nil:
		result.Req, result.Res = x.tunnel.digests()
	case x.res != nil:
		result.Res = x.res.digest()
	}
	if x.req != nil {
		result.Metadata = append(result.Metadata, x.req.metadata()...)
	}
	if err := x.trail.End(result); err != nil {
		x.h.Log.Error("audit end", zap.Error(err), zap.String("request_id", x.record.RequestID))
		x.closeErr = errUnrecorded
		outcome, reason = audit.Rejected, replyUnrecorded.reason
	}
	x.count(outcome, reason)
	return x.closeErr
}

// requestDigest stops the request's body, whose reader may be another goroutine,
// and tells how far it came.
func (x *exchange) requestDigest() *audit.Body {
	if x.req == nil {
		return emptyBody()
	}
	return x.req.stop()
}
