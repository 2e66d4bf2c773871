package clerk_test

import (
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

const (
	issuer = "https://example.accounts.dev"
	user   = "user_2abc"
	kid    = "ins_test"
)

// noon is when the tests take place.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func frozen() time.Time { return noon }

// clock is a clock that a test moves. Its zero value stands at noon.
type clock struct {
	mu     sync.Mutex
	passed time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return noon.Add(c.passed)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

// key is the instance's key of most tests.
func key() *clerktest.Key { return clerktest.SharedKey(kid) }

// start returns a Verifier with the instance's PEM key at noon, after change.
func start(t testing.TB, change ...func(*clerk.Config)) *clerk.Verifier {
	t.Helper()
	cfg := clerk.Config{
		Issuer: issuer,
		Keys:   clerk.KeyConfig{PEM: key().PEM()},
		Now:    frozen,
	}
	for _, c := range change {
		c(&cfg)
	}
	return startWith(t, cfg)
}

func startWith(t testing.TB, cfg clerk.Config) *clerk.Verifier {
	t.Helper()
	v, err := clerk.New(t.Context(), cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return v
}

// claims returns those of a good session token at noon, with changes; a nil change
// leaves the claim out.
func claims(changes map[string]any) map[string]any {
	c := clerktest.SessionClaims(issuer, user, noon)
	maps.Copy(c, changes)
	for name, value := range changes {
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

// null is a claim that is there and null.
type null struct{}

func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// literal is a claim written exactly so.
type literal string

func (l literal) MarshalJSON() ([]byte, error) { return []byte(l), nil }

func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	if got := clerk.Reason(err); got != want || want == "" && err != nil {
		t.Errorf("got reason %q (%v), want %q", got, err, want)
	}
}

// refusal returns err as the TokenError it must be.
func refusal(t *testing.T, err error) *clerk.TokenError {
	t.Helper()
	var refused *clerk.TokenError
	if !errors.As(err, &refused) {
		t.Fatalf("got error %v, want a TokenError", err)
	}
	return refused
}
