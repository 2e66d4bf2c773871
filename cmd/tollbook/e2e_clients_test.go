package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// crowd is clients that go on asking, whatever becomes of the program, and what
// they hold of its replies.
type crowd struct {
	url    string // of the proxy
	tokens tokens

	mu    sync.Mutex
	whole []receipt
	cut   int // requests that got no reply, or a part of one
}

// thinking is the longest that a client waits between two requests.
const thinking = 5 * time.Millisecond

// start starts the clients and returns what ends them.
func (c *crowd) start(t *testing.T, seed uint64) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for n := range loadClients {
		client, random := newClient(t), newRandom(seed, uint64(n))
		clients.Go(func() {
			// A connection that carried no request would delay a shutdown by 5 s.
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				c.ask(ctx, client, random)
				pause(ctx, between(random, 0, thinking))
			}
		})
	}
	stop = func() { cancel(); clients.Wait() }
	t.Cleanup(stop)
	return stop
}

// ask sends one request, of a kind left to chance, and notes the reply.
func (c *crowd) ask(ctx context.Context, client *http.Client, random *rand.Rand) {
	var got receipt
	var err error
	switch token := c.tokens.current(); random.IntN(8) {
	case 0: // leaves before the reply, which never comes
		held, cancel := context.WithTimeout(ctx, between(random, 0, 200*time.Millisecond))
		got, err = post(held, client, c.url+"/jobs/held", token)
		cancel()
	case 1:
		got, err = fetch(ctx, client, c.url+"/jobs/big", token)
		err = wantBody(got, err, bigBytes)
	case 2:
		got, err = fetch(ctx, client, c.url+"/jobs/stream", token)
		err = wantBody(got, err, streamPieces*len(streamPiece))
	default:
		got, err = post(ctx, client, c.url+"/jobs", token)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.cut++
		return
	}
	got.body = strings.Clone(got.body[:min(len(got.body), 200)]) // to be shown, if at all
	c.whole = append(c.whole, got)
}

// fetch asks for url and returns the whole reply.
func fetch(ctx context.Context, client *http.Client, url, token string) (receipt, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return receipt{}, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return send(client, req)
}

// wantBody makes an error of a good reply that is not as long as it was sent.
func wantBody(got receipt, err error, want int) error {
	if err == nil && got.status == http.StatusOK && len(got.body) != want {
		return fmt.Errorf("%d bytes, want %d", len(got.body), want)
	}
	return err
}

// replies returns the whole replies: the good ones, and how many said that the
// program is shutting down or waits for its disk, which a busy machine may make
// it do. There must be no others.
func (c *crowd) replies(t *testing.T) (good []receipt, refused int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.whole {
		switch {
		case r.status/100 == 2:
			good = append(good, r)
		case r.says(http.StatusServiceUnavailable, "draining"),
			r.says(http.StatusServiceUnavailable, "audit_unavailable"),
			r.says(http.StatusInternalServerError, "audit_outcome_unrecorded"):
			refused++
		default:
			t.Errorf("under load: got %d %s, want 2xx", r.status, r.body)
		}
	}
	return good, refused
}

// tokens makes tokens of alice's that are always good, however long the test.
type tokens struct {
	key *clerktest.Key

	mu   sync.Mutex
	last string
	made time.Time
}

// tokenAge is how old a token gets before the next one is made: a third of what
// it lives.
const tokenAge = 20 * time.Second

func (s *tokens) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.made) > tokenAge {
		s.last, s.made = s.key.Sign(clerktest.SessionClaims(issuer, alice, now)), now
	}
	return s.last
}

// newRandom returns chance that is the same for the same seed and stream.
func newRandom(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // G404: it must be repeatable
}

// between returns a duration of at least least and less than most.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
