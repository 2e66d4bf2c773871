package main_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// goodRate is how many good requests a second there are, whatever becomes of the
// ones before: one that is late makes none of the others late.
const goodRate = 100

// latencies says how long good requests took, from when they were due.
type latencies struct {
	n, failed         int
	p50, p99, longest time.Duration
	cause             error // of the first that failed
}

// goodLoad sends good requests for the length of a phase.
func (s *soak) goodLoad(t *testing.T) latencies {
	t.Helper()
	client := newClient(t)
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = goodRate //nolint:forcetypeassert // newClient's
	var mu sync.Mutex
	var took []time.Duration
	var failed int
	var cause error
	var running sync.WaitGroup
	begun := time.Now()
	for i := range int(goodRate * s.length / time.Second) {
		due := begun.Add(time.Duration(i) * time.Second / goodRate)
		time.Sleep(time.Until(due))
		running.Go(func() {
			err := s.good(t.Context(), client, i)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(due))
			if err != nil {
				failed, cause = failed+1, cmp.Or(cause, err)
			}
		})
	}
	running.Wait()
	slices.Sort(took)
	return latencies{
		n: len(took), failed: failed, cause: cause,
		p50: took[len(took)/2], p99: took[len(took)*99/100], longest: took[len(took)-1],
	}
}

// good posts a job, or asks for one.
func (s *soak) good(ctx context.Context, client *http.Client, i int) error {
	method, body := http.MethodGet, ""
	if i%2 == 0 {
		method, body = http.MethodPost, `{"name":"assay"}`
	}
	req, err := http.NewRequestWithContext(ctx, method, s.sidecar.url+"/jobs", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.tokens.current())
	got, err := send(client, req)
	if err == nil && got.status != http.StatusCreated {
		err = fmt.Errorf("status %d: %s", got.status, got.body)
	}
	return err
}

// newEchoes starts an upstream that answers jobs, and echoes in tunnels.
func newEchoes(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.Copy(io.Discard, r.Body)
			created(w)
			return
		}
		echo(w)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// echo switches protocols and sends back what comes.
func echo(w http.ResponseWriter) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	_, _ = io.Copy(conn, buf)
}

// dialAll opens connections to the program and has each served by use until done
// is called, which closes them. It returns when all have said ready.
func (s *soak) dialAll(t *testing.T, n int, use func(c net.Conn, ready func())) (done func()) {
	t.Helper()
	var running, starting sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	addr := strings.TrimPrefix(s.sidecar.url, "http://")
	starting.Add(n)
	for range n {
		running.Go(func() {
			ready := sync.OnceFunc(starting.Done)
			defer ready()
			for ctx.Err() == nil { // one that was closed is opened again
				c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
				if err != nil {
					return
				}
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				use(c, ready)
				stop()
				_ = c.Close()
			}
		})
	}
	starting.Wait()
	return func() { cancel(); running.Wait() }
}
