package clerk

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// minBackOff and maxBackOff bound the time to the next try after a failed one.
const (
	minBackOff = 500 * time.Millisecond
	maxBackOff = 30 * time.Second
)

// run refreshes: when the period is over, sooner after a failure, and when asked.
func (r *keyring) run(ctx context.Context) {
	defer close(r.stopped)
	defer r.ground()
	failures := 0
	if r.held.Load() == nil {
		failures = 1
	}
	timer := time.NewTimer(r.delay(failures))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
		if r.refresh(ctx) {
			failures = 0
		} else {
			failures++
		}
		timer.Reset(r.delay(failures))
	}
}

// refresh flies the refresh that was asked for, or one of its own, and reports
// whether it was good.
func (r *keyring) refresh(ctx context.Context) bool {
	r.mu.Lock()
	if r.flight == nil {
		r.flight = &flight{done: make(chan struct{})}
	}
	r.mu.Unlock()
	event, worthTelling := r.load(ctx)
	r.mu.Lock()
	r.land()
	r.mu.Unlock()
	if worthTelling && ctx.Err() == nil {
		r.tell(event)
	}
	return event.Err == nil
}

// land ends the flight and lets go those who wait. The caller holds mu.
func (r *keyring) land() {
	if r.flight == nil {
		return
	}
	// A forced refresh asked for while its wake was on the way is this one.
	select {
	case <-r.wake:
	default:
	}
	close(r.flight.done)
	r.flight = nil
}

// ground ends the keyring's last flight; there will be no other.
func (r *keyring) ground() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.land()
}

// load fetches and, if that is good, puts the set in place. It returns what to
// tell, and whether that is worth telling.
func (r *keyring) load(ctx context.Context) (KeysEvent, bool) {
	set, err := r.fetch(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	recovered := r.failure != nil && err == nil
	r.failure = err
	if err != nil {
		r.bad++
		return KeysEvent{Err: err}, true
	}
	r.good++
	old := r.held.Load()
	event := KeysEvent{Added: set.infos()}
	if old != nil {
		before := old.set.infos()
		event.Added = missing(before, set.infos())
		event.Removed = missing(set.infos(), before)
		if len(event.Added)+len(event.Removed) == 0 {
			set = old.set
		}
	}
	r.held.Store(&holding{set: set, fetched: r.now()})
	return event, recovered || len(event.Added)+len(event.Removed) > 0
}

// missing returns those of want that have does not hold.
func missing(have, want []KeyInfo) []KeyInfo {
	var infos []KeyInfo
	for _, info := range want {
		if !slices.Contains(have, info) {
			infos = append(infos, info)
		}
	}
	return infos
}

// delay returns the time to the next background refresh after so many failures in
// a row: up to a tenth less than the period, or a doubling time of which up to half
// is left to chance.
func (r *keyring) delay(failures int) time.Duration {
	if failures == 0 {
		return r.period - jitter(r.period/10)
	}
	wait := min(minBackOff<<min(failures-1, 10), maxBackOff, r.period)
	return wait - jitter(wait/2)
}

func jitter(limit time.Duration) time.Duration {
	return rand.N(limit) //nolint:gosec // spreads load; nobody gains by guessing it
}
