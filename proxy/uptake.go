package proxy

import (
	"sync"
	"time"
)

// An uptake ends an exchange whose upstream does not take what it was given of the
// body. The bound on writes to its connection does not see that on HTTP/2, where a
// stream can stand still on a connection that moves. It is safe for concurrent
// use; nil has no bound.
type uptake struct {
	limit time.Duration
	end   func()

	mu    sync.Mutex
	timer *time.Timer // nil before anything was given
	over  bool
}

// newUptake returns nil for streams, which may be quiet, and where there is no
// bound.
func newUptake(x *exchange) *uptake {
	if x.h.UpstreamStall <= 0 || x.place == &x.h.streams {
		return nil
	}
	return &uptake{limit: x.h.UpstreamStall, end: func() { x.cancel(errUntaken) }}
}

// given notes that the upstream has something to take.
func (u *uptake) given() {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.over:
	case u.timer == nil:
		u.timer = time.AfterFunc(u.limit, u.end)
	default:
		u.timer.Reset(u.limit)
	}
}

// taken notes that it wants more.
func (u *uptake) taken() { u.stop(false) }

// close notes that it has all, or has replied: then it may take the rest or leave
// it.
func (u *uptake) close() { u.stop(true) }

func (u *uptake) stop(over bool) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = u.over || over
	if u.timer != nil {
		u.timer.Stop()
	}
}
