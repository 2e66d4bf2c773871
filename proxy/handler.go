// Package proxy is the way of a request: who asks is found out, what is asked is
// put on disk, only then is it forwarded, and what came of it is put on disk
// before the end of the reply leaves.
//
//	screen → verify → policy → received → upstream → completed → end of the reply
//
// The invariant: nothing reaches the upstream before its `received` record is
// durable, and nothing without a verified user. The upstream learns the user from
// one header that nobody else can set. Whatever is not ours to change (the
// target, the bodies, the other headers) passes as it came.
//
// Not promised: what the upstream does with a request, and that a client that
// half-closes its connection after the request still gets its reply (net/http
// takes it for one that left).
package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"tollbook/audit"
	"tollbook/proxy/clerk"
)

// A Verifier says who a token speaks for: [clerk.Verifier] is one. An error is a
// [*clerk.TokenError] or wraps [clerk.ErrKeysUnavailable].
type Verifier interface {
	Verify(ctx context.Context, token string) (*clerk.Session, error)
}

// A ClaimHeader forwards a claim of the token as a header.
type ClaimHeader struct {
	Claim  string // exact name
	Header string // letters, digits and dashes
}

// A Config says how to make a [Handler]. The fields without a default must be
// set.
type Config struct {
	// Upstream has the scheme and, unless Transport dials a socket, the
	// host:port of the protected service; its path is not used.
	Upstream *url.URL
	// UpstreamHost is the Host sent upstream; empty means the client's.
	UpstreamHost string
	// Transport forwards: see NewTransport. It must tell [net/http/httptrace] of
	// the connections that it uses, as [http.Transport] does.
	Transport http.RoundTripper
	// Verifier decides who asks.
	Verifier Verifier
	// Trail is where requests are recorded. The caller closes it, after the
	// Handler has ended.
	Trail *audit.Log
	// Events name routes in the trail; none means that all are `request`.
	Events []Event
	// ResponseFields are the top-level fields of JSON replies that the trail
	// keeps.
	ResponseFields []string
	// UserIDHeader tells the upstream who asks; empty means X-User-ID.
	UserIDHeader string
	// ClaimHeaders tell it more.
	ClaimHeaders []ClaimHeader
	// ForwardAuthorization leaves the token on the request.
	ForwardAuthorization bool
	// DenyImpersonation refuses sessions in which somebody acts for the user.
	DenyImpersonation bool
	// HideReasons makes every 401 say no more than "Unauthorized".
	HideReasons bool
	// Log gets what operators must know; never a token, query or body.
	Log *zap.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Handler serves the traffic port. New makes it; it is safe for concurrent use.
type Handler struct {
	Config
	events   *events
	headers  headerPolicy
	upstream *httputil.ReverseProxy
	base     context.Context
	abort    context.CancelCauseFunc
	inFlight atomic.Int64
	draining atomic.Bool
}

// New makes a handler. The errors are those of Events.
func New(cfg Config) (*Handler, error) {
	if cfg.UserIDHeader == "" {
		cfg.UserIDHeader = "X-User-ID"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	routes, err := newEvents(cfg.Events)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	h := &Handler{Config: cfg, events: routes, headers: newHeaderPolicy(&cfg)}
	h.base, h.abort = context.WithCancelCause(context.Background())
	h.upstream = &httputil.ReverseProxy{
		Rewrite:        h.rewrite,
		Transport:      cfg.Transport,
		ModifyResponse: modifyResponse,
		ErrorHandler:   handleError,
		FlushInterval:  -1, // nothing waits in our buffers
		BufferPool:     &copyBuffers{},
		ErrorLog:       zap.NewStdLog(cfg.Log),
	}
	return h, nil
}

// ServeHTTP takes a request its way. Every request leaves a trace in the trail.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.inFlight.Add(1)
	defer h.inFlight.Add(-1)
	x := h.newExchange(w, r)
	if bad := h.screen(r); bad != nil {
		x.refuse(*bad)
		return
	}
	session, err := x.authenticate()
	if err != nil {
		x.refuse(h.authReply(err))
		return
	}
	if bad := h.policy(session); bad != nil {
		x.refuse(*bad)
		return
	}
	if err := x.begin(session); err != nil {
		x.unbegun(err)
		return
	}
	defer func() { x.close(recover()) }() // ReverseProxy panics to abort a reply
	h.upstream.ServeHTTP(w, x.request())
}

// authenticate finds the token and verifies it. A session whose token was
// refused is recorded only as far as its signature and issuer were good.
func (x *exchange) authenticate() (*clerk.Session, error) {
	token, err := clerk.BearerToken(x.r.Header)
	if err != nil {
		return nil, err
	}
	x.record.TokenSHA256 = hashText(token)
	session, err := x.h.Verifier.Verify(x.r.Context(), token)
	if err != nil {
		var refused *clerk.TokenError
		if errors.As(err, &refused) && refused.Session != nil {
			describeSession(&x.record, refused.Session)
		}
		return nil, err
	}
	describeSession(&x.record, session)
	return session, nil
}

// policy decides what a verified user may not do.
func (h *Handler) policy(session *clerk.Session) *reply {
	if h.DenyImpersonation && session.Actor != nil {
		return &replyImpersonationDenied
	}
	return nil
}

// newRequestID returns 128 random bits as 32 hex digits.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
