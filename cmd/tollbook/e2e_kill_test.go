package main_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// TestKillUnderLoadLosesNoRecord kills the program again and again while
// requests are on their way, and holds the trail to the promise: what the
// upstream saw was on disk before, what a client holds whole is on disk too,
// and what was cut off is closed once, by the next start.
func TestKillUnderLoadLosesNoRecord(t *testing.T) {
	t.Parallel()
	const kills = 4
	binary, trail := buildTollbook(t), filepath.Join(t.TempDir(), "trail")
	key, up := clerktest.SharedKey(keyID), newWitness(t)
	start := func() *sidecar {
		return startSidecar(t, binary, up.url, trail, map[string]string{
			"CLERK_ISSUER":         issuer,
			"CLERK_PEM_PUBLIC_KEY": key.PEM(),
		})
	}
	var receipts []receipt
	for range kills {
		receipts = append(receipts, killUnderLoad(t, start(), up, key)...)
	}
	last := start()
	verifyTrail(t, binary, trail)
	last.terminate(t)
	verifyTrail(t, binary, trail)

	closed := wantClosedOnce(t, readTrail(t, trail))
	wantRecorded(t, closed, receipts)
	up.wantReceived(t, closed)
	up.wantInterrupted(t, closed, kills*held)
	t.Logf("%d kills, %d whole replies, %d requests in the trail", kills, len(receipts), len(closed))
}

// held is how many requests are kept open upstream when the program is killed.
const held = 4

// killUnderLoad kills the program once requests are held open and others have
// been answered, while more go on. It returns the replies that were received
// whole.
func killUnderLoad(t *testing.T, s *sidecar, up *witness, key *clerktest.Key) []receipt {
	t.Helper()
	const answered = 100
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	token := key.Sign(clerktest.SessionClaims(issuer, alice, time.Now()))
	replies := make(chan receipt)
	var clients sync.WaitGroup
	for n := range loadClients {
		path := "/jobs"
		if n < held {
			path = "/jobs/held"
		}
		client := newClient(t)
		clients.Go(func() { postUntilCut(ctx, client, s.url+path, token, replies) })
	}
	go func() {
		clients.Wait()
		close(replies)
	}()
	for range held {
		up.awaitHeld(t)
	}
	var receipts []receipt
	for r := range replies {
		if r.status != http.StatusCreated {
			t.Errorf("under load: got %d %s, want 201", r.status, r.body)
		}
		receipts = append(receipts, r)
		if len(receipts) == answered {
			s.kill()
		}
	}
	if len(receipts) < answered {
		t.Fatalf("got %d replies before the clients were cut off, want %d", len(receipts), answered)
	}
	return receipts
}

// postUntilCut posts jobs until the connection breaks.
func postUntilCut(
	ctx context.Context, client *http.Client, url, token string, replies chan<- receipt,
) {
	for {
		r, err := post(ctx, client, url, token)
		if err != nil {
			return
		}
		select {
		case replies <- r:
		case <-ctx.Done():
			return
		}
	}
}

// witness is an upstream that remembers whom it saw. Requests for /jobs/held
// are never answered.
type witness struct {
	url     string
	arrived chan struct{} // one for each held request

	mu   sync.Mutex
	seen map[string]string // path by request id
}

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{arrived: make(chan struct{}), seen: map[string]string{}}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.note(r)
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // cut off: the request stays open in the trail
	}
	if r.URL.Path == "/jobs/held" {
		select {
		case w.arrived <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		<-r.Context().Done()
		return
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(rw, `{"job_id":"1","status":"pending"}`)
}

func (w *witness) note(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[r.Header.Get("X-Request-ID")] = r.URL.Path
}

// awaitHeld returns when one more request is held.
func (w *witness) awaitHeld(t *testing.T) {
	t.Helper()
	select {
	case <-w.arrived:
	case <-time.After(patience):
		t.Fatalf("waited %v for a request to be held", patience)
	}
}

// wantReceived holds the trail to a `received` for every request that was seen.
func (w *witness) wantReceived(t *testing.T, closed map[string]trailRecord) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, path := range w.seen {
		if _, found := closed[id]; !found {
			t.Errorf("request %q for %s was seen upstream, but not received in the trail", id, path)
		}
	}
}

// wantInterrupted holds the trail to an `interrupted` for the held requests.
func (w *witness) wantInterrupted(t *testing.T, closed map[string]trailRecord, want int) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := 0
	for id, path := range w.seen {
		if path == "/jobs/held" && closed[id].Phase == "interrupted" {
			got++
		}
	}
	if got != want {
		t.Errorf("requests held at a kill: got %d interrupted, want %d", got, want)
	}
}
