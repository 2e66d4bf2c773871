package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// keepAlive finds, within half a minute, that a host is gone which we only listen
// to: there is nothing that it would have to acknowledge, so that TCP by itself
// waits for ever.
var keepAlive = net.KeepAliveConfig{
	Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
}

// pings finds that an HTTP/2 connection is dead on which requests wait, where TCP
// would repeat itself for a quarter of an hour. To servers of gRPC more than one
// in 5 min is an attack, for which they end the connection and the quiet streams
// on it (GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS).
func pings() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: 5*time.Minute + 10*time.Second}
}

// A dialFunc is [net.Dialer.DialContext] or like it.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// impatient makes connections whose writes fail when the other side takes
// nothing for so long; 0 means that they wait for ever. The bound on the wait for
// a reply does not start before the request has been sent.
func (dial dialFunc) impatient(limit time.Duration) dialFunc {
	if limit <= 0 {
		return dial
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatientConn{conn, limit}, nil
	}
}

type impatientConn struct {
	net.Conn
	limit time.Duration
}

// Write implements [net.Conn].
func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// CloseWrite lets tunnels end one way, as they can without us.
func (c *impatientConn) CloseWrite() error {
	if conn, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return conn.CloseWrite()
	}
	return errors.ErrUnsupported // TCP and unix sockets have it
}
