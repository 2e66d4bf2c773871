// Package proxy is the way of a request: who asks is found out, what is asked is
// put on disk, only then is it forwarded, and what came of it is put on disk
// before the end of the reply leaves.
//
//	screen → classify → identify → policy → admit → received → upstream → completed → end of the reply
//
// The invariant: nothing reaches the upstream before its `received` record is
// durable, and nothing without a verified user but what the settings let pass
// (public routes, CORS preflights). The upstream learns the user from one header
// that nobody else can set. Whatever is not ours to change (the target, the
// bodies, the other headers) passes as it came.
//
// Not promised: what the upstream does with a request, and that a client that
// half-closes its connection after the request still gets its reply (net/http
// takes it for one that left).
package proxy

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/netip"
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
	// TokenCookie is a cookie that may hold the token where there is no
	// Authorization header; empty means none. Then CookieOrigins are those whose
	// pages may use it, as browsers send them in Origin.
	TokenCookie   string
	CookieOrigins []string
	// AllowHeaders are names that may pass although they have other characters
	// than letters, digits and dashes. None may be read as one of ours.
	AllowHeaders []string
	// PublicRoutes need no user: patterns of [http.ServeMux] without a host. A
	// request for one is forwarded without anything that says who asks.
	PublicRoutes []string
	// ForwardPreflights forwards what browsers ask before a CORS request, which
	// has no token. Otherwise they are refused.
	ForwardPreflights bool
	// CORSOrigins are those whose scripts may read our own replies.
	CORSOrigins []string
	// TrustedProxies are those whose X-Forwarded headers are believed, and
	// TrustUnix says so of whoever connects to a unix socket.
	TrustedProxies []netip.Prefix
	TrustUnix      bool
	// ReasonMethods need an X-Change-Reason from a verified user.
	ReasonMethods []string
	// MaxBodyBytes bounds a request's body; 0 means no bound.
	MaxBodyBytes int64
	// MaxInFlight bounds the ordinary requests in flight, MaxStreams the tunnels,
	// event streams and gRPC calls; 0 means no bound. Half of each can be had by
	// requests without a user.
	MaxInFlight, MaxStreams int64
	// StallTimeout is how long a client may take none of a reply, or send none of
	// a body, while we wait for it; 0 means 60 s.
	StallTimeout time.Duration
	// UpstreamStall is how long the upstream may take nothing of a body, unless that
	// is a stream's, before it replies; 0 means no bound.
	UpstreamStall time.Duration
	// StreamLifetime is the longest life of a stream; 0 means no bound. With
	// TokenLifetime it ends with its token too, Leeway after the token's exp.
	StreamLifetime time.Duration
	TokenLifetime  bool
	// Leeway is the verifier's.
	Leeway time.Duration
	// Metrics counts; nil means that nothing is counted.
	Metrics *Metrics
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
	public   *publicRoutes
	headers  headerPolicy
	upstream *httputil.ReverseProxy
	base     context.Context
	abort    context.CancelCauseFunc
	running  atomic.Int64 // calls of ServeHTTP
	requests places
	streams  places
	unknown  throttle // of callers
	draining atomic.Bool
}

// defaultStall is the stall timeout that a Config has without one.
const defaultStall = time.Minute

// New makes a handler. The errors are those of Events and PublicRoutes.
func New(cfg Config) (*Handler, error) {
	cfg.UserIDHeader = cmp.Or(cfg.UserIDHeader, "X-User-ID")
	cfg.StallTimeout = cmp.Or(cfg.StallTimeout, defaultStall)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	routes, err := newEvents(cfg.Events)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	public, err := newPublicRoutes(cfg.PublicRoutes)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	h := &Handler{Config: cfg, events: routes, public: public, headers: newHeaderPolicy(&cfg)}
	h.requests.max, h.streams.max = cfg.MaxInFlight, cfg.MaxStreams
	h.base, h.abort = context.WithCancelCause(context.Background())
	h.upstream = &httputil.ReverseProxy{
		Rewrite:        h.rewrite,
		Transport:      finalOnly{cfg.Transport},
		ModifyResponse: modifyResponse,
		ErrorHandler:   handleError,
		BufferPool:     &copyBuffers{},
		ErrorLog:       zap.NewStdLog(cfg.Log),
	}
	return h, nil
}

// ServeHTTP takes a request its way. Every request leaves a trace in the trail.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.running.Add(1)
	defer h.running.Add(-1)
	x := h.newExchange(w, r)
	defer x.done()
	if bad := h.screen(r); bad != nil {
		x.refuse(*bad)
		return
	}
	x.class = h.classify(r)
	session, bad := x.identify()
	if bad == nil {
		bad = x.policy(session)
	}
	if bad == nil {
		bad = x.admit()
	}
	if bad != nil {
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

// newRequestID returns 128 random bits as 32 hex digits.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
