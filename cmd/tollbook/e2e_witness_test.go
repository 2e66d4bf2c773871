package main_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// witness is an upstream that remembers whom it saw. It knows these requests:
//
//	POST /jobs         answered 201 with a short body of known length
//	POST /jobs/held    answered like the first, once somebody says so
//	GET  /jobs/big     answered with more than the proxy holds back
//	GET  /jobs/stream  answered piece by piece, without a length
type witness struct {
	url     string
	arrived chan struct{} // one for each held request, if somebody waits for it
	answer  chan struct{} // one for each that is answered

	mu   sync.Mutex
	seen map[string]string // path by request id
}

// The replies to GET: what a client must hold of one that it received whole.
const (
	bigBytes     = 300 << 10
	streamPieces = 8
	streamPiece  = "data: pending\n\n"
)

func newWitness(t *testing.T) *witness {
	t.Helper()
	w := &witness{
		arrived: make(chan struct{}, 1), answer: make(chan struct{}), seen: map[string]string{},
	}
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
	switch r.URL.Path {
	case "/jobs/held":
		select {
		case w.arrived <- struct{}{}:
		default:
		}
		select {
		case <-r.Context().Done():
		case <-w.answer:
			created(rw)
		}
	case "/jobs/big":
		rw.Header().Set("Content-Length", strconv.Itoa(bigBytes))
		_, _ = rw.Write(bytes.Repeat([]byte{'x'}, bigBytes))
	case "/jobs/stream":
		stream(rw)
	default:
		created(rw)
	}
}

func created(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(rw, `{"job_id":"1","status":"pending"}`)
}

func stream(rw http.ResponseWriter) {
	for range streamPieces {
		if _, err := io.WriteString(rw, streamPiece); err != nil {
			return
		}
		if err := http.NewResponseController(rw).Flush(); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *witness) note(r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[r.Header.Get("X-Request-ID")] = r.URL.Path
}

// requests returns how many requests were seen.
func (w *witness) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// awaitHeld returns when a request is held.
func (w *witness) awaitHeld(t *testing.T) {
	t.Helper()
	select {
	case <-w.arrived:
	case <-time.After(patience):
		t.Fatalf("waited %v for a request to be held", patience)
	}
}

// answerHeld has one of the held requests answered.
func (w *witness) answerHeld(t *testing.T) {
	t.Helper()
	select {
	case w.answer <- struct{}{}:
	case <-time.After(patience):
		t.Fatalf("waited %v for a held request", patience)
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
