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

// acceptGrace is how long it must have been quiet before a listener is closed. It
// would reset the connections that clients have made and nobody has accepted.
const acceptGrace = 2 * time.Millisecond

// lastCall closes the listener once it has accepted what waits.
func (l *listener) lastCall() {
	if !l.wakeAt(time.Unix(1, 0)) {
		_ = l.Close() // Serve says what it ended with
	}
}

// wakeAt has Accept return at that time; false where the listener can't.
func (l *listener) wakeAt(t time.Time) bool {
	d, ok := l.Listener.(interface{ SetDeadline(time.Time) error })
	return ok && d.SetDeadline(t) == nil
}

func (l *listener) isOpen() bool { return !l.closed.Load() }

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	s := l.server
	accepted, err := l.Listener.Accept()
	if err != nil && s.closing.Load() && l.wakeAt(time.Now().Add(acceptGrace)) {
		accepted, err = l.Listener.Accept() // what waits, if anything does
	}
	if err != nil && s.closing.Load() {
		_ = l.Close()
		return nil, http.ErrServerClosed
	}
	if err != nil {
		return nil, err
	}
	c := &conn{
		Conn: accepted, server: s, stall: s.handler.StallTimeout,
		secure: s.secure, gone: make(chan struct{}), credit: slowBytes,
	}
	c.quiet.Store(time.Now().UnixNano())
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
