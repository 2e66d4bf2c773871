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

// owed returns how long somebody has to wait now; 0 is not at all.
func (t *throttle) owed(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(t.due.Sub(now), 0)
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
// on HTTP/1 for its refusal. On HTTP/2 a client that resets its streams does not wait
// for any (CVE-2023-44487): there the connection is read slowly instead.
func (x *exchange) slowDown() {
	if x.record.UserID != "" || x.h.draining.Load() {
		return
	}
	wait := x.h.unknown.enter(time.Now())
	if wait == 0 || x.r.ProtoMajor >= 2 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.r.Context().Done():
	}
}
