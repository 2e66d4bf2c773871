package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/textproto"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tollbook/audit"
)

// close records what ReverseProxy left without an end: a tunnel that is over, or
// a reply that was cut because the client went away. panicked is what recover
// gave; the panic goes on as one that only aborts the reply.
func (x *exchange) close(panicked any) {
	if x.req != nil {
		defer x.req.release()
	}
	outcome, reason := audit.ClientAborted, ""
	cut, isCut := x.cut()
	switch {
	case panicked != nil && panicked != http.ErrAbortHandler: //nolint:errorlint // compared as net/http does
		x.h.Log.Error("panic", zap.Any("panic", panicked), zap.Stack("stack"),
			zap.String("request_id", x.record.RequestID))
		outcome, reason = audit.Rejected, "internal_error"
	case isCut:
		outcome, reason = audit.Rejected, cut.reason
	case x.upstreamStatus == http.StatusSwitchingProtocols:
		outcome = audit.OK // the tunnel is closed already
	}
	_ = x.finish(outcome, reason) // nothing more leaves
	if panicked != nil {
		x.reset()
		panic(http.ErrAbortHandler)
	}
}

// cut reports whether we ended the exchange, and why.
func (x *exchange) cut() (reply, bool) {
	switch cause := context.Cause(x.ctx); {
	case errors.Is(cause, errDraining):
		return replyDraining, true
	case errors.Is(cause, errLifetime):
		return replyLifetime, true
	case x.stalled():
		return replyStalled, true
	}
	return reply{}, false
}

// handleError answers when the upstream did not, or when its reply may not leave.
func handleError(_ http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r)
	outcome, rep := x.diagnose(err)
	x.logEnd(err, outcome)
	inTheWay := x.bodyInTheWay()
	x.sent = rep.status
	if x.finish(outcome, rep.reason) != nil && outcome != audit.ClientAborted {
		rep = replyUnrecorded
		x.sent = rep.status
	}
	if rep.status == 0 || outcome == audit.ClientAborted {
		panic(http.ErrAbortHandler) // to return would be an empty 200
	}
	if inTheWay {
		x.w.Header().Set("Connection", "close")
	}
	x.write(rep)
}

// upstreamFailed reports whether the upstream is to blame.
func upstreamFailed(outcome audit.Outcome) bool {
	return outcome == audit.NotForwarded || outcome == audit.UpstreamError || outcome == audit.Timeout
}

// count tells the metrics whose failure it was, whether or not the client could
// still be told.
func (x *exchange) count(outcome audit.Outcome, reason string) {
	switch {
	case upstreamFailed(outcome):
		x.h.Metrics.UpstreamFailed(reason)
	case outcome == audit.Rejected:
		x.h.Metrics.Refused(reason)
	}
}

// logEnd tells operators of what the upstream did not do. What a client did not do
// is the trail's matter: clients must not fill the log.
func (x *exchange) logEnd(err error, outcome audit.Outcome) {
	level := zapcore.DebugLevel
	if upstreamFailed(outcome) {
		level = zapcore.WarnLevel
	}
	if !errors.Is(err, errUnrecorded) { // it is logged
		x.h.Log.Log(level, "upstream", zap.String("error", sayable(err)),
			zap.String("outcome", string(outcome)), zap.String("request_id", x.record.RequestID))
	}
}

// diagnose says what an error of the upstream call means, and what the client is
// told if it can be. The client's own failures come first: they look like the
// upstream's otherwise.
func (x *exchange) diagnose(err error) (audit.Outcome, reply) {
	if rep, isCut := x.cut(); isCut {
		return audit.Rejected, rep
	}
	var timeout net.Error
	switch {
	case errors.Is(context.Cause(x.ctx), errUntaken):
		return audit.Timeout, replyTimeout
	case errors.Is(err, errOverloaded):
		return audit.Rejected, replyOverloaded
	case x.req != nil && x.req.failed():
		return x.req.diagnose()
	case x.ctx.Err() != nil:
		return audit.ClientAborted, reply{}
	case !x.connected && x.upstreamStatus == 0:
		return audit.NotForwarded, replyUnreachable
	case errors.As(err, &timeout) && timeout.Timeout():
		return audit.Timeout, replyTimeout
	default:
		return audit.UpstreamError, replyUnreachable
	}
}

// sayable returns an error's text without the bytes of a bad reply that it may
// quote: they could be a token that the upstream sent back.
func sayable(err error) string {
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return "malformed header in the reply"
	}
	text, _, _ := strings.Cut(err.Error(), `"`)
	return strings.TrimSpace(text)
}

// bodyInTheWay reports whether what the client still sends of a body could be
// read as its next request: the connection must end with the reply. On HTTP/2 only
// the stream does, and the others on the connection go on.
func (x *exchange) bodyInTheWay() bool {
	return x.r.ProtoMajor == 1 && x.req != nil && !x.req.complete()
}
