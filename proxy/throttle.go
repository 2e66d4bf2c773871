package proxy

import (
	"net/http"
	"sync"
	"time"
)

// Bounds of a flood of refusals. What is below them is answered at once.
const (
	refusalRate    = 2000 // a second; a core does ten times as many
	refusalBurst   = 500
	refusalWait    = time.Second // the longest
	refusalWaiters = 4096
)

// A throttle makes callers that nobody knows wait for their refusal when there
// are too many of them, so that a flood takes no time from those who are known
// (a leaky bucket as a meter: the generic cell rate algorithm). The zero value is
// ready; it is safe for concurrent use.
type throttle struct {
	mu      sync.Mutex
	due     time.Time // when the last one would be answered at the rate
	waiting int
}

// enter returns how long the next refusal has to wait; 0 is at once. Who has
// waited must leave. Not ok means that too many wait: the connection has to end.
func (t *throttle) enter(now time.Time) (wait time.Duration, ok bool) {
	const each, slack = time.Second / refusalRate, refusalBurst * time.Second / refusalRate
	t.mu.Lock()
	defer t.mu.Unlock()
	if floor := now.Add(-slack); t.due.Before(floor) {
		t.due = floor
	}
	t.due = t.due.Add(each)
	wait = t.due.Sub(now)
	switch {
	case wait <= 0:
		return 0, true
	case wait > refusalWait:
		wait, t.due = refusalWait, now.Add(refusalWait)
	}
	if t.waiting == refusalWaiters {
		return 0, false
	}
	t.waiting++
	return wait, true
}

func (t *throttle) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting--
}

// slowDown lets a caller whom nobody knows wait for its refusal, if there are too
// many of them. Too many that wait lose their connections. A stream of HTTP/2
// that was reset waits too: only so does a client that resets all of them come to
// the bound of its connection (CVE-2023-44487).
func (x *exchange) slowDown() {
	if x.record.UserID != "" || x.h.draining.Load() {
		return
	}
	wait, ok := x.h.unknown.enter(time.Now())
	if !ok {
		x.sendAway()
	}
	if wait == 0 {
		return
	}
	defer x.h.unknown.leave()
	gone := x.r.Context().Done()
	if x.r.ProtoMajor >= 2 {
		gone = x.h.base.Done()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-gone:
	}
}

// sendAway makes the connection end with the reply: on HTTP/2 that is GOAWAY, which
// goes out with a head, be it that of a stream that was reset.
func (x *exchange) sendAway() {
	x.w.Header().Set("Connection", "close")
	if x.r.ProtoMajor >= 2 && x.left() {
		x.w.WriteHeader(http.StatusServiceUnavailable)
		_ = http.NewResponseController(x.w).Flush() // nobody is there to read it
	}
}
