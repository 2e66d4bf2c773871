package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// The states of a client's connection. A drain closes those that carry no
// request, and no others: net/http's own Shutdown drops a request whose head was
// being read.
const (
	connFresh  = iota // nothing of a request has come
	connIdle          // between two requests
	connBusy          // a request is coming or being answered
	connHTTP2         // ended by GOAWAY
	connTunnel        // not ours to end
	connClosed        // what may still be read of it is thrown away
)

// A conn is a client's connection. It knows whether a request is under way, and
// gives up a client that takes nothing of a reply for as long as stall.
type conn struct {
	net.Conn
	server *Server
	stall  time.Duration
	secure bool         // TLS lies above: what is read need not be a request
	quiet  atomic.Int64 // since when nothing has come, in ns since 1970

	state   atomic.Int32
	asked   bool // a request began that no handler has seen; HTTP/1 only
	preface int  // how much of http2Preface has come, -1 if something else has; the reader's
	stalled atomic.Bool
	known   atomic.Bool   // somebody who is known uses it
	credit  int           // bytes that may be read before the next wait; the reader's
	gone    chan struct{} // closed with it
	once    sync.Once     // of that
	mute    atomic.Bool
}

// connKey is the context key of the client's connection.
type connKey struct{}

// connOf returns nil where the handler runs without our Server.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// ownConn finds ours below what net/http has; nil if there is none.
func ownConn(c net.Conn) *conn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// Read implements [net.Conn].
func (c *conn) Read(p []byte) (int, error) {
	c.pauseInFlood()
	n, err := c.Conn.Read(p)
	c.credit -= n
	if n > 0 && !c.wake(p[:n]) {
		return 0, net.ErrClosed
	}
	return n, err
}

// http2Preface begins an HTTP/2 connection (RFC 9113 §3.4).
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// isHTTP2 reports whether the preface is there, with p as what comes next. It may
// come in pieces.
func (c *conn) isHTTP2(p []byte) bool {
	if c.preface < 0 {
		return false
	}
	rest := http2Preface[c.preface:]
	n := min(len(p), len(rest))
	if string(p[:n]) != rest[:n] {
		c.preface = -1
		return false
	}
	c.preface += n
	return c.preface == len(http2Preface)
}

// wake notes that bytes have come; false means that the connection was closed
// before, and they are nobody's.
func (c *conn) wake(p []byte) bool {
	http2 := c.isHTTP2(p)
	for {
		state, next := c.state.Load(), int32(connBusy)
		switch {
		case state == connClosed:
			return false
		case http2:
			next = connHTTP2
		case state == connFresh && c.secure:
			c.quiet.Store(time.Now().UnixNano())
			return true
		case state != connFresh && state != connIdle:
			return true
		}
		if c.state.CompareAndSwap(state, next) {
			return true
		}
	}
}

// became follows what net/http says of the connection.
func (c *conn) became(state http.ConnState, http2 bool) {
	switch state { //nolint:exhaustive // the others tell nothing that is needed
	case http.StateActive:
		if http2 {
			c.state.CompareAndSwap(connFresh, connHTTP2)
			return
		}
		c.state.CompareAndSwap(connFresh, connBusy)
		c.asked = c.state.Load() != connHTTP2
	case http.StateIdle:
		c.state.CompareAndSwap(connBusy, connIdle)
	case http.StateHijacked:
		c.state.CompareAndSwap(connBusy, connTunnel)
	case http.StateClosed:
		if c.asked {
			c.server.handler.Metrics.Unparsed()
		}
	}
}

// enter notes that a handler has the request. False means that its connection is
// closed: nothing may come of it.
func (c *conn) enter(r *http.Request) bool {
	if r.ProtoMajor == 1 {
		c.asked = false // on the goroutine of became
		return c.state.Load() != connClosed
	}
	return true
}

// freshGrace is how long a client that has connected and asks for nothing is
// waited for.
const freshGrace = time.Second

// rest closes the connection if it carries no request.
func (c *conn) rest(now time.Time) {
	state := c.state.Load()
	if state == connIdle || state == connFresh && now.Sub(time.Unix(0, c.quiet.Load())) >= freshGrace {
		if c.state.CompareAndSwap(state, connClosed) {
			_ = c.Close()
		}
	}
}

var errMute = errors.New("the connection ends with a reset")

// Write implements [net.Conn].
func (c *conn) Write(p []byte) (int, error) {
	if c.mute.Load() {
		return 0, errMute
	}
	_ = c.SetWriteDeadline(time.Now().Add(c.stall))
	n, err := c.Conn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.stalled.Store(true)
		c.reset() // before net/http closes it: what still waits must not look whole
	}
	return n, err
}

// CloseWrite ends our side. Tunnels pass a half-closed one on.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// reset makes the connection end with a reset where the network has one: nothing
// more is written, not even the goodbye of TLS, which would make a cut reply look
// whole.
func (c *conn) reset() {
	c.mute.Store(true)
	c.endWithReset(true) // it is closed next, one way or the other
}

// endWithReset says how the connection ends from now on, also if that is because
// we are killed.
func (c *conn) endWithReset(yes bool) {
	const reset, inBackground = 0, -1
	if tcp, ok := c.Conn.(*net.TCPConn); ok && yes {
		_ = tcp.SetLinger(reset)
	} else if ok {
		_ = tcp.SetLinger(inBackground)
	}
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.once.Do(func() { close(c.gone) })
	c.state.Store(connClosed)
	c.server.forget(c)
	return c.Conn.Close()
}
