package proxy

import "time"

// slowBytes is how much is read of an HTTP/2 connection between two waits: a
// request with a long token, or some hundred of the shortest.
const slowBytes = 4 << 10

// allow returns how many of n bytes may be read now. Of an HTTP/2 connection on
// which nobody is known that is little during a flood of refusals: its client
// could ask without waiting for what it gets, and take back what it asked for.
func (c *conn) allow(n int) int {
	if c.known.Load() || c.state.Load() != connHTTP2 {
		return n
	}
	if c.credit <= 0 {
		c.wait(c.server.handler.unknown.owed(time.Now()))
		c.credit = slowBytes
	}
	return min(n, c.credit)
}

// wait returns after d, or once the connection is closed.
func (c *conn) wait(d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.gone:
	}
}
