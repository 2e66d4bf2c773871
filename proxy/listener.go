package proxy

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// A listener hands its connections to the server as conns.
type listener struct {
	net.Listener
	server *Server
	closed atomic.Bool
}

// acceptGrace is how long connections are still accepted when the listener is to
// be closed: those that clients have made already, and that it would reset.
const acceptGrace = 10 * time.Millisecond

// lastCall closes the listener once it has accepted what waits.
func (l *listener) lastCall() {
	if soon, ok := l.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		if soon.SetDeadline(time.Now().Add(acceptGrace)) == nil {
			return // Accept closes it
		}
	}
	_ = l.Close() // Serve says what it ended with
}

func (l *listener) isOpen() bool { return !l.closed.Load() }

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	s := l.server
	accepted, err := l.Listener.Accept()
	if err != nil && s.closing.Load() {
		_ = l.Close()
		return nil, http.ErrServerClosed
	}
	if err != nil {
		return nil, err
	}
	c := &conn{
		Conn: accepted, server: s, stall: s.handler.StallTimeout,
		secure: s.secure, accepted: time.Now(), gone: make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	return c, nil
}

// Close implements [net.Listener]. It may be closed more than once.
func (l *listener) Close() error {
	l.closed.Store(true)
	if err := l.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
