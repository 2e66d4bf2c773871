package proxy

import (
	"context"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Bounds of the traffic port.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 90 * time.Second
	maxHeaderBytes    = 64 << 10
)

// connKey is the context key of the client's connection.
type connKey struct{}

// NewServer returns a server for the handler with the bounds that the traffic
// port needs. The caller serves with it and shuts it down.
func NewServer(h *Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          zap.NewStdLog(h.Log.Named("http")),
		BaseContext:       func(net.Listener) context.Context { return h.base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		// net/http would answer OPTIONS * by itself, to anybody.
		DisableGeneralOptionsHandler: true,
	}
}

// Drain makes every reply from now on close its connection, so that clients go
// elsewhere while the listeners are still open.
func (h *Handler) Drain() { h.draining.Store(true) }

// Wait returns when no request is in flight, upgraded connections included, which
// [http.Server.Shutdown] does not wait for; or with ctx's error.
func (h *Handler) Wait(ctx context.Context) error {
	const often = 5 * time.Millisecond
	tick := time.NewTicker(often)
	defer tick.Stop()
	for h.inFlight.Load() > 0 {
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
