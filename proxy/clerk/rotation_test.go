package clerk_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

// crowd verifies a token from many goroutines at once and returns the errors.
func crowd(v *clerk.Verifier, size int, token string) []error {
	errs := make([]error, size)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range size {
		wg.Go(func() {
			<-begin
			_, errs[i] = v.Verify(context.Background(), token)
		})
	}
	close(begin)
	wg.Wait()
	return errs
}

func TestRotationCostsNoRequest(t *testing.T) {
	t.Parallel()
	fresh := clerktest.SharedKey("ins_other")
	for name, next := range map[string]*clerktest.Key{
		"another kid": fresh, "the same kid": fresh.WithID(kid),
	} {
		s := serve(t, key())
		v := startWith(t, fromServer(s, &clock{}))
		s.SetKeys(next)
		for _, err := range crowd(v, 100, tokenOf(s.Issuer(), next)) {
			if err != nil {
				t.Errorf("%s: got %v, want every token of the new key accepted", name, err)
			}
		}
		if got := s.Fetches(); got != 2 {
			t.Errorf("%s: got %d fetches, want 2: the first and one for all", name, got)
		}
		_, err := v.Verify(t.Context(), tokenOf(s.Issuer(), key()))
		if clerk.Reason(err) == "" {
			t.Errorf("%s: got the withdrawn key accepted", name)
		}
	}
}

func TestTokensOfOldAndNewKeyPassWhileBothServe(t *testing.T) {
	t.Parallel()
	fresh := clerktest.SharedKey("ins_other")
	s := serve(t, key())
	v := startWith(t, fromServer(s, &clock{}))
	s.SetKeys(fresh, key())
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			token := tokenOf(s.Issuer(), []*clerktest.Key{key(), fresh}[i%2])
			if _, err := v.Verify(context.Background(), token); err != nil {
				t.Errorf("got %v, want old and new accepted", err)
			}
		})
	}
	wg.Wait()
}

func TestRandomKidsCostOneFetchPerCooldown(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	now := &clock{}
	v := startWith(t, fromServer(s, now))
	_, p, sig := parts()
	flood := func() {
		for i := range 10_000 {
			token := encoded(fmt.Sprintf(`{"alg":"RS256","kid":"ins_%d"}`, i)) + "." + p + "." + sig
			_, err := v.Verify(t.Context(), token)
			if clerk.Reason(err) != clerk.ReasonTokenKeyUnknown {
				t.Fatalf("got %v, want token_key_unknown", err)
			}
		}
	}
	flood()
	if got := s.Fetches(); got != 2 {
		t.Errorf("got %d fetches, want 2", got)
	}
	now.advance(29 * time.Second)
	flood()
	if got := s.Fetches(); got != 2 {
		t.Errorf("got %d fetches within the cooldown, want 2", got)
	}
	now.advance(time.Second)
	flood()
	if got := s.Fetches(); got != 3 {
		t.Errorf("got %d fetches after the cooldown, want 3", got)
	}
}

func TestForgeriesNeverBecomeUnavailable(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	now := &clock{}
	v := startWith(t, fromServer(s, now))
	forged := clerktest.SharedKey("ins_other")
	for _, fault := range []clerktest.Fault{
		clerktest.FaultStatus(http.StatusInternalServerError), clerktest.FaultStatus(http.StatusNotFound),
		clerktest.FaultHTML(), clerktest.FaultEmpty(), clerktest.FaultHuge(), cutShort,
		clerktest.FaultBody(`{"keys":[]}`), clerktest.FaultRedirect("http://127.0.0.1:1/"),
	} {
		now.advance(31 * time.Second)
		s.SetFault(fault)
		before := v.Keys()
		_, err := v.Verify(t.Context(), tokenOf(s.Issuer(), forged))
		wantReason(t, err, clerk.ReasonTokenKeyUnknown)
		_, err = v.Verify(t.Context(), tokenOf(s.Issuer(), forged.WithID(kid)))
		wantReason(t, err, clerk.ReasonTokenSignatureInvalid)
		if got := v.Keys(); !slices.Equal(got, before) {
			t.Errorf("got keys %v after a bad answer, want %v", got, before)
		}
	}
	_, err := v.Verify(t.Context(), forgetTimes(s.Issuer()))
	wantReason(t, err, "")
}

// forgetTimes is a good token for a clock that has moved on.
func forgetTimes(iss string) string {
	c := clerktest.SessionClaims(iss, user, noon)
	c["exp"] = noon.Add(365 * 24 * time.Hour).Unix()
	return key().Sign(c)
}

func TestKeysServeFor24Hours(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	now := &clock{}
	v := startWith(t, fromServer(s, now))
	token := forgetTimes(s.Issuer())
	now.advance(24 * time.Hour)
	_, err := v.Verify(t.Context(), token)
	wantReason(t, err, "")
	if err := v.Ready(); err != nil {
		t.Errorf("got Ready %v after 24 h, want nil", err)
	}
	now.advance(time.Second)
	_, err = v.Verify(t.Context(), token)
	wantReason(t, err, "keys_unavailable")
	_, err = v.Verify(t.Context(), withHeader(`{"alg":"none"}`))
	wantReason(t, err, clerk.ReasonTokenAlgUnsupported)
	if err := v.Ready(); !errors.Is(err, clerk.ErrKeysUnavailable) {
		t.Errorf("got Ready %v after 24 h and 1 s, want ErrKeysUnavailable", err)
	}
}

func TestPEMKeyNeverAges(t *testing.T) {
	t.Parallel()
	now := &clock{}
	v := start(t, func(c *clerk.Config) { c.Now = now.now })
	now.advance(1000 * time.Hour)
	_, err := v.Verify(t.Context(), forgetTimes(issuer))
	wantReason(t, err, "")
	if err := v.Ready(); err != nil {
		t.Errorf("got Ready %v, want nil", err)
	}
}

func TestMoreThan128WaitersAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	v := startWith(t, fromServer(s, &clock{}))
	fresh := clerktest.SharedKey("ins_other")
	gate := make(chan struct{})
	s.SetKeys(fresh)
	s.SetFault(clerktest.FaultGate(gate))
	const extra = 32
	results := make(chan error)
	token := tokenOf(s.Issuer(), fresh)
	for range clerk.MaxWaiters + extra {
		go func() {
			_, err := v.Verify(context.Background(), token)
			results <- err
		}()
	}
	for range extra {
		wantReason(t, <-results, clerk.ReasonTokenKeyUnknown)
	}
	close(gate)
	for range clerk.MaxWaiters {
		wantReason(t, <-results, "")
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	v := startWith(t, fromServer(s, &clock{}))
	s.SetFault(clerktest.FaultHang())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := v.Verify(ctx, tokenOf(s.Issuer(), clerktest.SharedKey("ins_other")))
	wantReason(t, err, clerk.ReasonTokenKeyUnknown)
}

// TestOvertakenTokenIsJudgedAgain is a token that fails with the keys it met, while
// a refresh brings its key: the cooldown that begins must not refuse it.
func TestOvertakenTokenIsJudgedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	v := startWith(t, fromServer(s, &clock{}))
	fresh := clerktest.SharedKey("ins_other")
	s.SetKeys(fresh)
	overtaken := clerk.Snapshot(v)
	_, err := v.Verify(t.Context(), tokenOf(s.Issuer(), fresh))
	wantReason(t, err, "")
	wantReason(t, overtaken(t.Context(), tokenOf(s.Issuer(), fresh)), "")
	if got := s.Fetches(); got != 2 {
		t.Errorf("got %d fetches, want 2", got)
	}
	unknown := tokenOf(s.Issuer(), fresh.WithID("ins_x"))
	wantReason(t, overtaken(t.Context(), unknown), clerk.ReasonTokenKeyUnknown)
}

func TestChangesOfTheSetAreTold(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	now := &clock{}
	told := newEvents()
	cfg := fromServer(s, now)
	cfg.OnKeys = told.add
	v := startWith(t, cfg)
	first := told.wait()
	if len(first.Added) != 1 || first.Added[0].ID != kid || first.Removed != nil || first.Err != nil {
		t.Errorf("got %+v first, want the first key added", first)
	}
	fresh := clerktest.SharedKey("ins_other").WithID(kid)
	s.SetKeys(fresh)
	_, err := v.Verify(t.Context(), tokenOf(s.Issuer(), fresh))
	wantReason(t, err, "")
	event := told.wait()
	if len(event.Added) != 1 || len(event.Removed) != 1 || event.Removed[0] != first.Added[0] ||
		event.Added[0].ID != kid || event.Added[0] == event.Removed[0] {
		t.Errorf("got %+v, want the old key removed and the new one added", event)
	}
	now.advance(31 * time.Second)
	s.SetFault(clerktest.FaultStatus(http.StatusInternalServerError))
	_, err = v.Verify(t.Context(), tokenOf(s.Issuer(), key()))
	wantReason(t, err, clerk.ReasonTokenSignatureInvalid)
	if event := told.wait(); event.Err == nil || !strings.Contains(event.Err.Error(), s.JWKSURL()) {
		t.Errorf("got %+v, want the failure with the URL", event)
	}
	s.SetFault(nil)
	for event = told.wait(); event.Err != nil; event = told.wait() {
		continue // the background may have tried before the fault was mended
	}
	if event.Added != nil || event.Removed != nil {
		t.Errorf("got %+v, want only that it is well again", event)
	}
}

func TestPEMKeyIsTold(t *testing.T) {
	t.Parallel()
	told := newEvents()
	v := start(t, func(c *clerk.Config) { c.OnKeys = told.add })
	if event := told.wait(); !slices.Equal(event.Added, v.Keys()) || event.Added[0].ID != "" {
		t.Errorf("got %+v, want %v added, without a kid", event, v.Keys())
	}
}

func TestFileIsReadAgainForAnUnknownKey(t *testing.T) {
	t.Parallel()
	fresh := clerktest.SharedKey("ins_other")
	path := writeFile(t, keySetOf(t, key().JWK()))
	v := startWith(t, clerk.Config{
		Issuer: issuer, Keys: clerk.KeyConfig{File: path}, Now: frozen,
	})
	_, err := v.Verify(t.Context(), withClaims(nil))
	wantReason(t, err, "")
	if err := os.WriteFile(path, []byte(keySetOf(t, fresh.JWK())), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), fresh.Sign(claims(nil)))
	wantReason(t, err, "")
	_, err = v.Verify(t.Context(), withClaims(nil))
	wantReason(t, err, clerk.ReasonTokenKeyUnknown)
}

func TestCloseLetsWaitersGo(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	v := startWith(t, fromServer(s, &clock{}))
	reached := make(chan struct{})
	s.SetFault(func(w http.ResponseWriter, r *http.Request, closing <-chan struct{}) bool {
		close(reached)
		return clerktest.FaultHang()(w, r, closing)
	})
	result := make(chan error)
	go func() {
		_, err := v.Verify(context.Background(), tokenOf(s.Issuer(), clerktest.SharedKey("ins_other")))
		result <- err
	}()
	<-reached
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	wantReason(t, <-result, clerk.ReasonTokenKeyUnknown)
}
