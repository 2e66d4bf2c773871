package clerk_test

import (
	"errors"
	"testing"
	"time"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

func TestStatsCountFetchesAndTellTheAgeOfTheKeys(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, old, fresh *clerktest.Key) {
		s := &source{body: keySetOf(t, old.JWK(), fresh.JWK())}
		v := startWith(t, fromSource(s, 10*time.Minute))
		began := time.Now()
		wantStats(t, v, clerk.Stats{Keys: 2, Fetches: 1, Fetched: began})
		s.set("", errors.New("no route to host"), 0)
		time.Sleep(11 * time.Minute)
		got := v.Stats()
		if got.Failures < 2 {
			t.Errorf("got %d failures in a minute of outage, want some", got.Failures)
		}
		wantStats(t, v, clerk.Stats{Keys: 2, Fetches: 1, Failures: got.Failures, Fetched: began})
		s.set(keySetOf(t, fresh.JWK()), nil, 0)
		time.Sleep(time.Minute)
		after := v.Stats()
		if by := after.Fetched.Sub(began); by < 11*time.Minute {
			t.Errorf("got keys fetched %s after the start, want them fetched again", by)
		}
		wantStats(t, v, clerk.Stats{
			Keys: 1, Fetches: 2, Failures: after.Failures, Fetched: after.Fetched,
		})
	})
}

func TestStatsOfAnUnreachableSourceHaveNoAge(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, _, _ *clerktest.Key) {
		s := &source{err: errors.New("no route to host")}
		v := startWith(t, fromSource(s, 10*time.Minute))
		wantStats(t, v, clerk.Stats{Failures: 1})
	})
}

func TestStatsOfAPEMKeyHaveNoFetches(t *testing.T) {
	t.Parallel()
	wantStats(t, start(t), clerk.Stats{Keys: 1})
}

func wantStats(t *testing.T, v *clerk.Verifier, want clerk.Stats) {
	t.Helper()
	if got := v.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
