package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// A ServerConfig bounds the traffic port. The zero value has the defaults.
type ServerConfig struct {
	// ReadHeaderTimeout bounds the head of a request, and a TLS handshake; 0
	// means 10 s.
	ReadHeaderTimeout time.Duration
	// IdleTimeout bounds the time between two requests; 0 means 90 s.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the head of a request; 0 means 64 KiB. net/http adds
	// 4 KiB to it.
	MaxHeaderBytes int
	// TLS makes it serve HTTPS with HTTP/2; nil means plain HTTP, with HTTP/2 for
	// clients that know of it (h2c). The Server keeps it.
	TLS *tls.Config
}

// Defaults of a ServerConfig.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 90 * time.Second
	maxHeaderBytes    = 64 << 10
)

// Bounds of an HTTP/2 connection.
const (
	maxConcurrentStreams = 250 // as HAProxy and nginx have it, more or less
	pingAfter            = 30 * time.Second
	pingTimeout          = 15 * time.Second
)

// A Server serves a Handler. NewServer makes it; it is safe for concurrent use.
type Server struct {
	handler *Handler
	http    *http.Server
	secure  bool // net/http gives itself a TLSConfig in any case
	closing atomic.Bool

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners []*listener
}

// NewServer returns a server for the handler with the bounds that the traffic
// port needs. The caller serves with it and shuts it down.
func NewServer(h *Handler, cfg ServerConfig) *Server {
	s := &Server{handler: h, secure: cfg.TLS != nil, conns: make(map[*conn]struct{})}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cmp.Or(cfg.ReadHeaderTimeout, readHeaderTimeout),
		IdleTimeout:       cmp.Or(cfg.IdleTimeout, idleTimeout),
		MaxHeaderBytes:    cmp.Or(cfg.MaxHeaderBytes, maxHeaderBytes),
		TLSConfig:         cfg.TLS,
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxConcurrentStreams,
			SendPingTimeout:      pingAfter, PingTimeout: pingTimeout,
		},
		ErrorLog:    zap.NewStdLog(h.Log.Named("http")),
		BaseContext: func(net.Listener) context.Context { return h.base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, ownConn(c))
		},
		ConnState: connState,
		// net/http would answer OPTIONS * by itself, to anybody.
		DisableGeneralOptionsHandler: true,
	}
	return s
}

func connState(c net.Conn, state http.ConnState) {
	own := ownConn(c)
	if own == nil {
		return
	}
	secure, ok := c.(*tls.Conn)
	http2 := ok && state == http.StateActive && secure.ConnectionState().NegotiatedProtocol == "h2"
	own.became(state, http2)
}

// Serve serves the listener's connections until Shutdown or Close, and then
// returns [http.ErrServerClosed]. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	own := &listener{Listener: l, server: s}
	s.mu.Lock()
	s.listeners = append(s.listeners, own)
	s.mu.Unlock()
	if s.secure {
		return s.http.ServeTLS(own, "", "")
	}
	return s.http.Serve(own)
}

// Shutdown takes no more connections, closes those without a request at once and
// the others after their reply, then tells HTTP/2 clients to go elsewhere, and
// returns when all are closed but tunnels, for which Wait waits, or with ctx's
// error. Replies tell clients to go, as after Drain.
func (s *Server) Shutdown(ctx context.Context) error {
	s.handler.Drain()
	s.closing.Store(true)
	s.mu.Lock()
	listeners := s.listeners
	s.mu.Unlock()
	for _, l := range listeners {
		l.lastCall()
	}
	err := poll(ctx, func() bool {
		return !slices.ContainsFunc(listeners, (*listener).isOpen) && s.rest(time.Now()) == 0
	})
	return errors.Join(err, s.http.Shutdown(ctx))
}

// rest closes the HTTP/1 connections that carry no request, and returns how many
// there still are.
func (s *Server) rest(now time.Time) (left int) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.rest(now)
		switch c.state.Load() {
		case connFresh, connIdle, connBusy:
			left++
		}
	}
	return left
}

// Close closes the listeners and every connection.
func (s *Server) Close() error {
	s.closing.Store(true)
	return s.http.Close()
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Drain makes every reply from now on close its connection, so that clients go
// elsewhere while the listeners are still open.
func (h *Handler) Drain() { h.draining.Store(true) }

// Wait returns when no request is in flight, or with ctx's error.
func (h *Handler) Wait(ctx context.Context) error {
	return poll(ctx, func() bool { return h.running.Load() == 0 })
}

// poll returns when done says so, or with ctx's error.
func poll(ctx context.Context, done func() bool) error {
	const often = 5 * time.Millisecond
	tick := time.NewTicker(often)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Abort cuts the requests that are still in flight, which are recorded as
// rejected, and refuses new ones.
func (h *Handler) Abort() { h.abort(errDraining) }
