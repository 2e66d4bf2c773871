package main_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// TestEndToEndRotation has the keys come from a JWKS URL, and changes them
// under load. A key set is fetched out of turn once in 30 seconds at most, so
// every rotation meets a program of its own.
func TestEndToEndRotation(t *testing.T) {
	t.Parallel()
	python := requireTools(t)
	binary, api := buildTollbook(t), startJobsAPI(t, python)

	t.Run("every check holds with keys from a JWKS URL", func(t *testing.T) {
		r := startRotation(t, binary, api)
		stack{
			sidecar: r.sidecar, key: r.key, issuer: r.clerk.Issuer(),
			api: api, trail: r.trail, binary: binary,
		}.run(t)
	})
	for _, c := range []struct {
		name   string
		kid    string
		remain bool // the old key stays valid for a while
	}{
		{"a key beside the old one", "ins_new", true},
		{"a key instead of the old one", "ins_new", false},
		{"another key under the same id", keyID, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRotation(t, binary, api)
			fetches := r.clerk.Fetches()
			receipts := r.underLoad(t, clerktest.NewKey(c.kid), c.remain)
			if t.Failed() {
				return
			}
			if got := r.clerk.Fetches() - fetches; got != 1 {
				t.Errorf("rotation: got %d fetches of the key set, want 1", got)
			}
			r.terminate(t)
			verifyTrail(t, binary, r.trail)
			records := readTrail(t, r.trail)
			wantRecorded(t, wantClosedOnce(t, records), receipts)
			if !slices.ContainsFunc(records, isKeysChanged) {
				t.Error("the trail has no keys_changed record")
			}
		})
	}
}

func isKeysChanged(r trailRecord) bool {
	return r.Phase == "system" && r.Reason == "keys_changed"
}

// rotation is a sidecar in front of the API and the stand-in Clerk whose keys
// it trusts.
type rotation struct {
	*sidecar
	clerk *clerktest.Server
	key   *clerktest.Key
	trail string
}

// startRotation starts the sidecar with one key in the set.
func startRotation(t *testing.T, binary, api string) rotation {
	t.Helper()
	key, trail := clerktest.SharedKey(keyID), filepath.Join(t.TempDir(), "trail")
	server := clerktest.NewServer(key)
	t.Cleanup(server.Close)
	s := startSidecar(t, binary, api, trail, map[string]string{
		"CLERK_ISSUER":   server.Issuer(),
		"CLERK_JWKS_URL": server.JWKSURL(),
	})
	return rotation{s, server, key, trail}
}

// fleet is loadClients clients that post jobs, each with tokens of its own,
// all signed with the one key that is current.
type fleet struct {
	key atomic.Pointer[clerktest.Key]
	// gate is held for reading while a request is on its way.
	gate sync.RWMutex

	mu       sync.Mutex
	receipts []receipt
}

// underLoad replaces the key while the fleet posts jobs, and returns what the
// fleet received: nothing but 201.
//
// If the old key remains, requests go on all the while. If it does not, its
// last requests end first, since their refusal would be right; then all clients
// come at once with tokens of a key that the sidecar has never seen.
func (r rotation) underLoad(t *testing.T, key *clerktest.Key, remain bool) []receipt {
	t.Helper()
	f := &fleet{}
	f.key.Store(r.key)
	var busy, done sync.WaitGroup
	busy.Add(loadClients)
	for n := range loadClients {
		done.Go(func() { f.client(t, r, n, key, busy.Done) })
	}
	busy.Wait()
	if remain {
		r.clerk.SetKeys(r.key, key)
		f.key.Store(key)
	} else {
		f.gate.Lock()
		r.clerk.SetKeys(key)
		f.key.Store(key)
		f.gate.Unlock()
	}
	done.Wait()
	return f.receipts
}

// client posts jobs as user n until some tokens of the new key were accepted.
// It calls busy once, when it has some requests behind it.
func (f *fleet) client(
	t *testing.T, r rotation, n int, newKey *clerktest.Key, busy func(),
) {
	const warmUp, accepted = 3, 5
	busy = sync.OnceFunc(busy)
	defer busy()
	client, user := newClient(t), fmt.Sprintf("user_%d", n)
	for sent, withNew := 0, 0; withNew < accepted; sent++ {
		key, got, err := f.post(t.Context(), client, r, user)
		if err != nil || got.status != http.StatusCreated {
			t.Errorf("%s, request %d: got %d %s %v, want 201", user, sent, got.status, got.body, err)
			return
		}
		if key == newKey {
			withNew++
		}
		if sent >= warmUp {
			busy()
		}
	}
}

// post sends one job and tells which key its token was signed with.
func (f *fleet) post(ctx context.Context, client *http.Client, r rotation, user string) (
	*clerktest.Key, receipt, error,
) {
	f.gate.RLock()
	defer f.gate.RUnlock()
	key := f.key.Load()
	token := key.Sign(clerktest.SessionClaims(r.clerk.Issuer(), user, time.Now()))
	got, err := post(ctx, client, r.url+"/jobs", token)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.receipts = append(f.receipts, got)
	return key, got, err
}
