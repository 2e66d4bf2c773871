package clerk_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

// source is a key set behind an http.Client without a network, so that time can be
// the bubble's.
type source struct {
	mu    sync.Mutex
	body  string
	err   error
	times []time.Time
	slow  time.Duration
}

func (s *source) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.times = append(s.times, time.Now())
	body, err, slow := s.body, s.err, s.slow
	s.mu.Unlock()
	select {
	case <-r.Context().Done():
		return nil, r.Context().Err()
	case <-time.After(slow):
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

func (s *source) set(body string, err error, slow time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.err, s.slow = body, err, slow
}

// fetches returns when the source was asked since the last call.
func (s *source) fetches() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	times := s.times
	s.times = nil
	return times
}

func fromSource(s *source, refresh time.Duration) clerk.Config {
	return clerk.Config{
		Issuer: issuer,
		Keys:   clerk.KeyConfig{Refresh: refresh, Client: &http.Client{Transport: s}},
	}
}

// bubbled is a good token for the bubble's clock.
func bubbled(k *clerktest.Key) string {
	return k.Sign(clerktest.SessionClaims(issuer, user, time.Now()))
}

// bubble runs a test in synctest with the keys it needs already made, for making
// them takes real time.
func bubble(t *testing.T, test func(t *testing.T, old, fresh *clerktest.Key)) {
	t.Helper()
	old, fresh := key(), clerktest.SharedKey("ins_other")
	synctest.Test(t, func(t *testing.T) { test(t, old, fresh) })
}

func TestKeysAreRefreshedBeforeTheyAreNeeded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, fresh *clerktest.Key) {
		s := &source{body: keySetOf(t, old.JWK())}
		v := startWith(t, fromSource(s, 10*time.Minute))
		s.fetches()
		began := time.Now()
		s.set(keySetOf(t, fresh.JWK()), nil, 0)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		times := s.fetches()
		if len(times) != 1 || times[0].Sub(began) < 9*time.Minute {
			t.Fatalf("got fetches at %v, want one between 9 and 10 minutes after %v", times, began)
		}
		_, err := v.Verify(t.Context(), bubbled(old))
		wantReason(t, err, clerk.ReasonTokenKeyUnknown)
		_, err = v.Verify(t.Context(), bubbled(fresh))
		wantReason(t, err, "")
	})
}

func TestBackgroundRefreshLeavesTheForcedOne(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, fresh *clerktest.Key) {
		s := &source{body: keySetOf(t, old.JWK())}
		v := startWith(t, fromSource(s, time.Minute))
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(s.fetches()); got != 2 {
			t.Fatalf("got %d fetches, want 2", got)
		}
		s.set(keySetOf(t, fresh.JWK()), nil, 0)
		_, err := v.Verify(t.Context(), bubbled(fresh))
		wantReason(t, err, "")
	})
}

// TestForcedRefreshFollowsABackgroundOneThatCameTooEarly has a token wait for a
// background refresh whose answer was made before its key: it must get its own.
func TestForcedRefreshFollowsABackgroundOneThatCameTooEarly(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]error{"unchanged": nil, "failed": errors.New("reset")} {
		bubble(t, func(t *testing.T, old, fresh *clerktest.Key) {
			s := &source{body: keySetOf(t, old.JWK())}
			v := startWith(t, fromSource(s, 10*time.Minute))
			s.set(keySetOf(t, old.JWK()), early, 2*time.Second)
			for s.fetches(); len(s.fetches()) == 0; synctest.Wait() {
				time.Sleep(time.Second)
			}
			s.set(keySetOf(t, fresh.JWK()), nil, 0)
			if _, err := v.Verify(t.Context(), bubbled(fresh)); err != nil {
				t.Errorf("%s: got %v, want the new key found", name, err)
			}
		})
	}
}

func TestWaitingForKeysEndsAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, fresh *clerktest.Key) {
		s := &source{body: keySetOf(t, old.JWK())}
		v := startWith(t, fromSource(s, time.Hour))
		s.set("", nil, time.Minute)
		began := time.Now()
		_, err := v.Verify(t.Context(), bubbled(fresh))
		wantReason(t, err, clerk.ReasonTokenKeyUnknown)
		if got := time.Since(began); got != 5*time.Second {
			t.Errorf("got an answer after %s, want 5s", got)
		}
		_, err = v.Verify(t.Context(), bubbled(fresh))
		wantReason(t, err, clerk.ReasonTokenKeyUnknown)
		if got := time.Since(began); got != 5*time.Second {
			t.Errorf("got the second answer after %s, want it at once", got)
		}
	})
}

func TestFailedRefreshAlsoCoolsDown(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, fresh *clerktest.Key) {
		s := &source{body: keySetOf(t, old.JWK())}
		v := startWith(t, fromSource(s, time.Hour))
		s.set("", errors.New("down"), 0)
		_, err := v.Verify(t.Context(), bubbled(fresh))
		wantReason(t, err, clerk.ReasonTokenKeyUnknown)
		if got := len(s.fetches()); got != 2 {
			t.Fatalf("got %d fetches, want the first and the forced one", got)
		}
		s.set(keySetOf(t, fresh.JWK()), nil, 0)
		_, err = v.Verify(t.Context(), bubbled(fresh))
		wantReason(t, err, clerk.ReasonTokenKeyUnknown)
		if got := len(s.fetches()); got != 0 {
			t.Errorf("got %d fetches in the cooldown, want 0", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		_, err = v.Verify(t.Context(), bubbled(fresh))
		wantReason(t, err, "")
	})
}

func TestVerifierGoesOnAfterClose(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, fresh *clerktest.Key) {
		v := startWith(t, fromSource(&source{body: keySetOf(t, old.JWK())}, time.Hour))
		for range 2 {
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		_, err := v.Verify(t.Context(), bubbled(old))
		wantReason(t, err, "")
		_, err = v.Verify(t.Context(), bubbled(fresh))
		wantReason(t, err, clerk.ReasonTokenKeyUnknown)
		if got := time.Since(began); got != 0 {
			t.Errorf("got an answer after %s, want it at once: nothing refreshes any more", got)
		}
	})
}

func TestSlowSourceIsGivenUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, _, _ *clerktest.Key) {
		began := time.Now()
		v := startWith(t, fromSource(&source{slow: time.Minute}, time.Hour))
		if got := time.Since(began); got != 5*time.Second {
			t.Errorf("got a verifier after %s, want 5s", got)
		}
		if err := v.Ready(); err == nil || !strings.Contains(err.Error(), "within 5s") {
			t.Errorf("got %v, want it said that the answer took too long", err)
		}
	})
}

func TestUnreachableSourceIsTriedWithBackOff(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, _ *clerktest.Key) {
		s := &source{err: errors.New("connection refused")}
		var told []clerk.KeysEvent
		cfg := fromSource(s, time.Hour)
		cfg.OnKeys = func(e clerk.KeysEvent) { told = append(told, e) }
		v := startWith(t, cfg)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		times := s.fetches()
		if len(times) < 20 || len(times) > 60 {
			t.Errorf("got %d tries in 10 minutes, want one in 15 to 30 s", len(times))
		}
		if first := times[1].Sub(times[0]); first > 500*time.Millisecond {
			t.Errorf("got the second try after %s, want it within 500ms", first)
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap > 30*time.Second {
				t.Errorf("got a gap of %s, want 30s at most", gap)
			}
		}
		s.set(keySetOf(t, old.JWK()), nil, 0)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if _, err := v.Verify(t.Context(), bubbled(old)); err != nil {
			t.Errorf("got %v once the source is back, want the token accepted", err)
		}
		if last := told[len(told)-1]; len(last.Added) != 1 || told[0].Err == nil {
			t.Errorf("got events from %+v to %+v, want failure, then the key", told[0], last)
		}
	})
}

func TestStaleKeysComeBackByThemselves(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, _ *clerktest.Key) {
		s := &source{body: keySetOf(t, old.JWK())}
		v := startWith(t, fromSource(s, time.Hour))
		s.set("", errors.New("down"), 0)
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		_, err := v.Verify(t.Context(), bubbled(old))
		wantReason(t, err, "keys_unavailable")
		s.set(keySetOf(t, old.JWK()), nil, 0)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		_, err = v.Verify(t.Context(), bubbled(old))
		wantReason(t, err, "")
	})
}

func TestOnKeysNeverOverlapsAndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, fresh *clerktest.Key) {
		s := &source{body: keySetOf(t, old.JWK())}
		cfg := fromSource(s, time.Second)
		var mu sync.Mutex
		cfg.OnKeys = func(clerk.KeysEvent) {
			if !mu.TryLock() {
				t.Error("OnKeys was called while it ran")
				return
			}
			defer mu.Unlock()
			time.Sleep(20 * time.Second)
		}
		v := startWith(t, cfg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for i := range 10 {
			k := []*clerktest.Key{fresh, old}[i%2]
			s.set(keySetOf(t, k.JWK()), nil, 0)
			began := time.Now()
			_, err := v.Verify(ctx, bubbled(old))
			if clerk.Reason(err) == "keys_unavailable" {
				t.Errorf("got %v", err)
			}
			if got := time.Since(began); got > 5*time.Second {
				t.Errorf("got an answer after %s, want 5s at most", got)
			}
			time.Sleep(4 * time.Second)
		}
	})
}
