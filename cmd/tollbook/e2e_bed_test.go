package main_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"tollbook/proxy/clerk/clerktest"
)

// bed is what a fault is tried on: a program on its addresses, before a
// witness, and a ledger of what its client got.
type bed struct {
	launch
	binary, trail string
	up            *witness
	tokens        tokens
	client        *http.Client
	held          chan receipt // the replies to held requests

	mu    sync.Mutex
	whole []receipt // of all requests
}

// newBed makes a bed with a trail that does not exist yet. A program that
// must end does so within drainTimeout.
func newBed(t *testing.T, binary string) *bed {
	t.Helper()
	return newBedOn(t, binary, filepath.Join(t.TempDir(), "trail"))
}

// maxHeld is how many requests a test holds at most.
const maxHeld = 4

// drainTimeout is how long a program waits for the requests in flight.
const drainTimeout = "300ms"

func newBedOn(t *testing.T, binary, trail string) *bed {
	t.Helper()
	key, up := clerktest.SharedKey(keyID), newWitness(t)
	settings := trusting(key)
	settings["TOLLBOOK_DRAIN_TIMEOUT"] = drainTimeout
	return &bed{
		launch: newLaunch(t, binary, up.url, trail, settings), binary: binary, trail: trail,
		up: up, tokens: tokens{key: key}, client: newClient(t),
		held: make(chan receipt, maxHeld),
	}
}

// ready starts the program and returns once it is ready.
func (b *bed) ready(t *testing.T) *sidecar {
	t.Helper()
	s := b.start(t)
	s.waitUntilOK(t, s.admin+"/readyz")
	return s
}

// startedOrExited waits until the program is ready, and reports false if it has
// ended instead.
func (b *bed) startedOrExited(t *testing.T, s *sidecar) (started bool) {
	t.Helper()
	client := newClient(t)
	eventually(t, "the program is ready or has ended", func() error {
		if s.hasExited() {
			return nil
		}
		err := statusOK(t.Context(), client, s.admin+"/readyz")
		started = err == nil
		return err
	})
	return started
}

// post posts a job and returns the reply: the zero receipt if there was none, or
// not to its end.
func (b *bed) post(t *testing.T) receipt {
	t.Helper()
	return b.postTo(t.Context(), "/jobs")
}

func (b *bed) postTo(ctx context.Context, path string) receipt {
	got, err := post(ctx, b.client, "http://"+b.proxy+path, b.tokens.current())
	if err != nil {
		return receipt{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole = append(b.whole, got)
	return got
}

// hold posts a job that the witness holds, and returns once it does. Its reply
// comes to held when the witness is told to answer, or as the zero receipt once
// ctx or the program has ended.
func (b *bed) hold(ctx context.Context, t *testing.T) {
	t.Helper()
	b.ask(ctx, t)
	b.up.awaitHeld(t)
}

// ask is hold that does not wait for the witness.
func (b *bed) ask(ctx context.Context, t *testing.T) {
	t.Helper()
	var done sync.WaitGroup
	done.Go(func() { b.held <- b.postTo(ctx, "/jobs/held") })
	t.Cleanup(done.Wait)
}

// wantCreated posts jobs until one succeeds. Others are refused at most, since
// the disk may be slow, or full.
func (b *bed) wantCreated(t *testing.T) {
	t.Helper()
	eventually(t, "a request succeeds", func() error {
		got := b.post(t)
		if got.status == http.StatusCreated {
			return nil
		}
		b.wantRefused(t, got, http.StatusServiceUnavailable, "audit_unavailable")
		return fmt.Errorf("status %d", got.status)
	})
}

// wantRefused holds a reply to the program's own, with this status and reason.
func (b *bed) wantRefused(t *testing.T, got receipt, status int, reason string) {
	t.Helper()
	if !got.says(status, reason) {
		t.Errorf("got %d %s, want %d %s", got.status, got.body, status, reason)
	}
	if got.retryAfter == "" && status == http.StatusServiceUnavailable {
		t.Errorf("%s: got no Retry-After", reason)
	}
}

// wantNotReady holds /readyz to a 503.
func (b *bed) wantNotReady(t *testing.T, s *sidecar) {
	t.Helper()
	err := statusOK(t.Context(), b.client, s.admin+"/readyz")
	if err == nil || err.Error() != "status 503" {
		t.Errorf("/readyz: got %v, want status 503", err)
	}
}

// recovered starts the program again, without faults, and holds the trail to
// the promise.
func (b *bed) recovered(t *testing.T) {
	t.Helper()
	s := b.ready(t)
	b.wantCreated(t)
	s.terminate(t)
	b.judge(t)
}

// judge compares what upstream and client saw with what the trail says of a
// program that has ended.
func (b *bed) judge(t *testing.T) map[string]trailRecord {
	t.Helper()
	wantVerified(t, b.binary, b.trail)
	closed := wantClosedOnce(t, readTrail(t, b.trail))
	b.up.wantReceived(t, closed)
	b.mu.Lock()
	defer b.mu.Unlock()
	var good []receipt
	for _, r := range b.whole {
		if r.status/100 == 2 {
			good = append(good, r)
		}
	}
	wantRecorded(t, closed, good)
	return closed
}
