package clerk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxAge is how long keys serve after the last good fetch.
	maxAge = 24 * time.Hour
	// cooldown is the least time between two forced refreshes, good or failed.
	cooldown = 30 * time.Second
	// maxWait bounds how long a token waits for the refresh that may bring its key.
	maxWait = 5 * time.Second
	// maxWaiters bounds how many tokens wait at a time.
	maxWaiters = 128
)

// keyring holds the keys of one source and keeps them fresh. Reading is one atomic
// load; all fetching after the first is done by one goroutine.
type keyring struct {
	fetch  func(context.Context) (*keySet, error) // nil: the keys never change
	now    func() time.Time
	period time.Duration
	tell   func(KeysEvent)

	held atomic.Pointer[holding]

	mu         sync.Mutex
	failure    error     // of the newest fetch; nil when it was good
	good, bad  int64     // fetches
	lastForced time.Time // when the newest forced refresh was asked for
	flight     *flight   // the refresh asked for or under way
	closed     bool

	wake    chan struct{} // a forced refresh was asked for; holds one
	stop    context.CancelFunc
	stopped chan struct{}
}

// holding is what the keyring has: a set, and when it was last confirmed.
type holding struct {
	set     *keySet
	fetched time.Time
}

// flight is one refresh that tokens may wait for.
type flight struct {
	waiters int           // guarded by keyring.mu
	done    chan struct{} // closed when the outcome stands
}

// newStaticKeyring holds a set that never changes and never ages.
func newStaticKeyring(set *keySet, cfg *Config) *keyring {
	r := &keyring{now: cfg.Now}
	r.held.Store(&holding{set: set, fetched: r.now()})
	cfg.OnKeys(KeysEvent{Added: set.infos()})
	return r
}

// newKeyring fetches for the first time, within ctx, and then starts refreshing.
// It returns an error only if the source is wrong; otherwise it may be without
// keys yet. The caller must close it.
func newKeyring(ctx context.Context, cfg *Config) (*keyring, error) {
	r := &keyring{
		fetch: newFetcher(cfg.Keys).fetch, now: cfg.Now, period: cfg.Keys.Refresh,
		tell: cfg.OnKeys,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	event, worthTelling := r.load(ctx)
	if isWrongSource(event.Err) {
		return nil, event.Err
	}
	if worthTelling {
		r.tell(event)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	go r.run(background)
	return r, nil
}

// close ends the refreshing and waits for it. Tokens that wait are judged with
// the keys there are.
func (r *keyring) close() {
	if r.fetch == nil {
		return
	}
	r.stop()
	<-r.stopped
}

// usable returns what there is to verify with, or an error that says why there is
// nothing.
func (r *keyring) usable() (*holding, error) {
	h := r.held.Load()
	if h == nil {
		return nil, fmt.Errorf("no keys yet: %w", r.lastFailure())
	}
	if age := r.now().Sub(h.fetched); r.fetch != nil && age > maxAge {
		return nil, fmt.Errorf("keys are %s old: %w", age.Round(time.Minute), r.lastFailure())
	}
	return h, nil
}

var errNoFetchYet = errors.New("the next fetch is still to come")

func (r *keyring) lastFailure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure == nil {
		return errNoFetchYet
	}
	return r.failure
}

// verify returns nil when one of the keys signed t. A token that fails gets
// another chance with every newer set that comes while it may wait.
func (r *keyring) verify(ctx context.Context, t *token) error {
	h, err := r.usable()
	if err != nil {
		return ErrKeysUnavailable
	}
	return r.verifyFrom(ctx, h.set, t)
}

// verifyFrom is verify for a token that met the keyring when it held set.
func (r *keyring) verifyFrom(ctx context.Context, set *keySet, t *token) error {
	refused := set.verify(t)
	if refused == nil || r.fetch == nil {
		return refused
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	for refused != nil {
		newer := r.renew(ctx, set)
		if newer == nil {
			return refused
		}
		set = newer
		refused = set.verify(t)
	}
	return nil
}

// renew returns a set other than old, waiting for a refresh if one may still bring
// it; nil when none is to be had.
func (r *keyring) renew(ctx context.Context, old *keySet) *keySet {
	for {
		newer, f := r.join(old)
		if f == nil {
			return newer
		}
		if !r.await(ctx, f) {
			return nil
		}
		// Once more, even if the refresh brought nothing: it may have been the
		// background's and have begun before the key was there to fetch, so it
		// does not stand in for the forced one. Nothing follows that one.
	}
}

// join returns the newer set if there is one; else the refresh to wait for, which
// is asked for if need be; neither when it must not be, or enough wait already.
func (r *keyring) join(old *keySet) (*keySet, *flight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.held.Load(); h.set != old {
		return h.set, nil
	}
	if r.flight == nil && !r.force() {
		return nil, nil
	}
	if r.flight.waiters >= maxWaiters {
		return nil, nil
	}
	r.flight.waiters++
	return nil, r.flight
}

// force asks for a refresh unless the last one asked for was too recently. It
// reports whether it did. The caller holds mu.
func (r *keyring) force() bool {
	now := r.now()
	if r.closed || !r.lastForced.IsZero() && now.Sub(r.lastForced) < cooldown {
		return false
	}
	r.lastForced = now
	r.flight = &flight{done: make(chan struct{})}
	r.wake <- struct{}{}
	return true
}

// await waits for the flight's outcome, and reports whether it came in time.
func (r *keyring) await(ctx context.Context, f *flight) bool {
	defer func() {
		r.mu.Lock()
		f.waiters--
		r.mu.Unlock()
	}()
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
		return false
	}
}
