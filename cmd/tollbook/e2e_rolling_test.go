package main_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"tollbook/proxy/clerk/clerktest"
)

var errNotReady = errors.New("a backend is not ready")

// TestRollingRestartsLoseNoRequest restarts one of two instances after the other
// behind a plain TCP balancer, under load that never pauses: every request is
// answered, and everything is in the trails. TOLLBOOK_TEST_RESTARTS says how
// often.
func TestRollingRestartsLoseNoRequest(t *testing.T) {
	t.Parallel()
	restarts := testCount(t, "TOLLBOOK_TEST_RESTARTS", 4)
	r := newRollout(t, buildTollbook(t))
	stop := r.load(t)
	for i := range restarts {
		// The balancer must send to the other one before this one goes.
		r.balancer.awaitReady(t)
		r.restart(t, i%len(r.launches))
	}
	r.balancer.awaitReady(t)
	stop()
	r.end(t)
	r.judge(t)
}

// A rollout is two instances of the program before one upstream, each with its
// trail, and what clients saw of them.
type rollout struct {
	binary   string
	launches []launch
	trails   []string
	running  []*sidecar
	balancer *balancer
	up       *witness
	tokens   tokens

	mu      sync.Mutex
	whole   []receipt
	retried atomic.Int64 // requests sent again, as every HTTP client does
}

// instances is how many there are: with two, one serves while the other restarts.
const instances = 2

func newRollout(t *testing.T, binary string) *rollout {
	t.Helper()
	key := clerktest.SharedKey(keyID)
	r := &rollout{binary: binary, up: newWitness(t), tokens: tokens{key: key}}
	settings := trusting(key)
	// Time for the balancer to see that an instance is about to go.
	settings["TOLLBOOK_DRAIN_DELAY"] = (20 * probeInterval).String()
	for i := range instances {
		trail := filepath.Join(t.TempDir(), fmt.Sprint(i))
		l := newLaunch(t, binary, r.up.url, trail, settings)
		r.launches, r.trails = append(r.launches, l), append(r.trails, trail)
		r.running = append(r.running, l.start(t))
	}
	r.balancer = newBalancer(t, r.launches...)
	r.balancer.awaitReady(t)
	return r
}

// restart ends an instance as an orchestrator does, and starts it again.
func (r *rollout) restart(t *testing.T, i int) {
	t.Helper()
	r.running[i].terminate(t)
	r.running[i] = r.launches[i].start(t)
	r.running[i].waitUntilOK(t, r.running[i].admin+"/readyz")
}

func (r *rollout) end(t *testing.T) {
	t.Helper()
	for _, s := range r.running {
		s.terminate(t)
	}
}

// load has clients of every kind send requests until stop is called.
func (r *rollout) load(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range loadClients {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		transport := &http.Transport{Protocols: protocols}
		switch i % 4 {
		case 0: // a connection for each request
			transport.DisableKeepAlives = true
		case 1:
			protocols.SetHTTP1(false)
			protocols.SetUnencryptedHTTP2(true)
		}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			r.use(ctx, t, &http.Client{Transport: transport, Timeout: patience})
		})
	}
	t.Cleanup(func() { cancel(); clients.Wait() })
	return func() { cancel(); clients.Wait() }
}

// use sends one request after the other. The last one goes to its end too.
func (r *rollout) use(ctx context.Context, t *testing.T, client *http.Client) {
	for ctx.Err() == nil {
		for _, path := range []string{"/jobs", "/jobs/big", "/jobs/stream"} {
			got, err := r.ask(t, client, path)
			if err != nil || got.status >= http.StatusBadRequest {
				t.Errorf("%s: got status %d, %v, %s", path, got.status, err, got.body)
				continue
			}
			r.mu.Lock()
			r.whole = append(r.whole, got)
			r.mu.Unlock()
		}
	}
}

// ask sends a request, and again if a connection that had been idle was closed
// without a byte of reply, as RFC 9110 §9.2.2 and RFC 9112 §9.3.1 have it.
func (r *rollout) ask(t *testing.T, client *http.Client, path string) (receipt, error) {
	for {
		var reused, answered bool
		// Not the load's context: what has begun is waited for.
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn:              func(info httptrace.GotConnInfo) { reused = info.Reused },
			GotFirstResponseByte: func() { answered = true },
		})
		got, err := r.send(ctx, client, path)
		if err == nil || !reused || answered {
			return got, err
		}
		r.retried.Add(1)
	}
}

func (r *rollout) send(ctx context.Context, client *http.Client, path string) (receipt, error) {
	url := "http://" + r.balancer.addr + path
	if path == "/jobs" {
		return post(ctx, client, url, r.tokens.current())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return receipt{}, err
	}
	req.Header.Set("Authorization", "Bearer "+r.tokens.current())
	return send(client, req)
}

// judge compares what upstream and clients saw with what the trails say.
func (r *rollout) judge(t *testing.T) {
	t.Helper()
	closed := make(map[string]trailRecord)
	for _, trail := range r.trails {
		verifyTrail(t, r.binary, trail)
		for id, record := range wantClosedOnce(t, readTrail(t, trail)) {
			closed[id] = record
			if record.Phase != "completed" || record.Outcome != "ok" {
				t.Errorf("request %s: got recorded as %s %s %s, want completed ok",
					id, record.Phase, record.Outcome, record.Reason)
			}
		}
	}
	wantRecorded(t, closed, r.whole)
	r.up.wantReceived(t, closed)
	if n := r.balancer.stranded.Load(); n > 0 {
		t.Errorf("got %d connections that no instance took", n)
	}
	t.Logf("%d requests answered, %d sent again after an idle connection closed, 0 failed",
		len(r.whole), r.retried.Load())
}
