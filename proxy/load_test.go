package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tollbook/audit"
)

// seen collects ids from many goroutines.
type seen struct {
	mu  sync.Mutex
	ids map[string]int
}

func (s *seen) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = make(map[string]int)
	}
	s.ids[id]++
}

// jobs is an upstream that answers in many ways.
func jobs(t *testing.T, hits *seen) string {
	return httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		hits.add(r.Header.Get("X-Request-ID"))
		if r.Header.Get("X-User-ID") != userA {
			t.Errorf("got X-User-ID %q upstream", r.Header.Get("X-User-ID"))
		}
		switch r.URL.Path {
		case "/early": // before the body is read
			http.Error(w, "no", http.StatusRequestEntityTooLarge)
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/long":
			_, _ = io.Copy(w, fill(200_000))
		default:
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		}
	})
}

// What must hold of every request, whatever becomes of it.
func TestTheTrailHoldsUnderLoad(t *testing.T) {
	t.Parallel()
	const workers, rounds = 8, 12
	var hits, good seen
	s := start(t, jobs(t, &hits), setup{})
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for range rounds {
				mixed(s, &good)
			}
		})
	}
	running.Wait()
	received, completed := tally(t, s.records())
	for id, n := range hits.ids {
		if received[id] != 1 || n != 1 {
			t.Errorf("request %q: %d times upstream, %d received records", id, n, received[id])
		}
	}
	for id := range good.ids {
		if completed[id] != 1 {
			t.Errorf("request %q: the client has its reply, and %d completed records", id, completed[id])
		}
	}
	for id, n := range received {
		if n != 1 || completed[id] != 1 {
			t.Errorf("request %q: %d received and %d completed records", id, n, completed[id])
		}
	}
	if len(good.ids) < workers*rounds*3 {
		t.Errorf("got %d good replies, want %d at least", len(good.ids), workers*rounds*3)
	}
}

// mixed is one round of good, refused and broken requests.
func mixed(s *sidecar, good *seen) {
	auth := authorization()
	for _, path := range []string{"/short", "/long", "/early", "/broken"} {
		r, err := http.NewRequestWithContext(s.t.Context(), "POST", "http://"+s.addr+path, fill(100_000))
		if err != nil {
			s.t.Errorf("making a request: %v", err)
			return
		}
		r.Header.Set("Authorization", strings.TrimPrefix(auth, "Authorization: "))
		res, err := s.client.Do(r)
		if err != nil {
			continue // an early reply's connection may be reset on the client's writing
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err == nil && res.StatusCode < 500 {
			good.add(res.Header.Get("X-Request-Id"))
		}
	}
	res := s.dial(request("GET /short", "")).reply("GET")
	if _, err := io.Copy(io.Discard, res.Body); err == nil {
		good.add(res.Header.Get("X-Request-Id"))
	}
	_ = s.dial(request("POST /short", "half", "Content-Length: 8")).Close()
	_ = s.dial(plain("GET /short", "")).Close()
	_ = s.dial(request("GET /long", "")).Close()
}

func tally(t *testing.T, records []*audit.Record) (received, completed map[string]int) {
	t.Helper()
	received, completed = make(map[string]int), make(map[string]int)
	for _, r := range records {
		switch r.Phase {
		case audit.Received:
			received[r.RequestID]++
		case audit.Completed:
			completed[r.RequestID]++
		case audit.Refused:
		default:
			t.Errorf("got a record of phase %s", r.Phase)
		}
	}
	return received, completed
}
