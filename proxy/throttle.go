package proxy

import (
	"sync"
	"time"
)

// Bounds of a flood of refusals. What is below them is answered at once.
const (
	refusalRate  = 2000 // a second; a core does ten times as many
	refusalBurst = 500
	refusalWait  = time.Second // the longest
)

// A throttle makes callers that nobody knows wait when too many of them are
// refused, so that a flood takes no time from those who are known (a leaky bucket
// as a meter: the generic cell rate algorithm). The zero value is ready; it is
// safe for concurrent use.
type throttle struct {
	mu  sync.Mutex
	due time.Time // when the last one would have come at the rate
}

// enter returns how long one more has to wait; 0 is not at all.
func (t *throttle) enter(now time.Time) (wait time.Duration) {
	const each, slack = time.Second / refusalRate, refusalBurst * time.Second / refusalRate
	t.mu.Lock()
	defer t.mu.Unlock()
	if floor := now.Add(-slack); t.due.Before(floor) {
		t.due = floor
	}
	t.due = t.due.Add(each)
	if latest := now.Add(refusalWait); t.due.After(latest) {
		t.due = latest
	}
	return max(t.due.Sub(now), 0)
}

// slowDown lets a caller whom nobody knows wait, if there are too many of them:
// on HTTP/1 for its refusal. On HTTP/2, where that would hold up nobody who resets
// his streams (CVE-2023-44487), it is the connection that waits, unless somebody
// who is known uses it too.
func (x *exchange) slowDown() {
	if x.record.UserID != "" || x.h.draining.Load() {
		return
	}
	wait := x.h.unknown.enter(time.Now())
	if wait == 0 {
		return
	}
	if x.r.ProtoMajor >= 2 {
		if c := connOf(x.r.Context()); c != nil {
			c.pause(wait)
		}
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.r.Context().Done():
	}
}

// pause has nothing read from the connection for so long.
func (c *conn) pause(d time.Duration) {
	if !c.known.Load() {
		c.paused.Store(time.Now().Add(d).UnixNano())
	}
}

// rested waits for as long as the connection is paused.
func (c *conn) rested() {
	until := c.paused.Load()
	if until == 0 {
		return
	}
	timer := time.NewTimer(time.Until(time.Unix(0, until)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.gone:
	}
	c.paused.CompareAndSwap(until, 0)
}
