package proxy

import "time"

// slowBytes is how much is read of an HTTP/2 connection between two waits, or a
// little more: a request with a long token, or some hundred of the shortest.
const slowBytes = 4 << 10

// pauseInFlood waits before the next read of an HTTP/2 connection on which nobody
// is known, if much was read since the last wait and there is a flood of refusals:
// its client could ask without waiting for what it gets, and take back what it
// asked for.
func (c *conn) pauseInFlood() {
	if c.known.Load() || c.state.Load() != connHTTP2 || c.credit > 0 {
		return
	}
	c.wait(c.server.handler.unknown.owed(time.Now()))
	c.credit = slowBytes
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
