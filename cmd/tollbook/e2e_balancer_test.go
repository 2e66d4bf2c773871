package main_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A balancer passes TCP connections on to those of its backends that say on
// /readyz that they are ready, in turn. It knows nothing of HTTP.
type balancer struct {
	addr     string
	backends []*backend
	next     atomic.Uint64
	stranded atomic.Int64 // connections that no backend took

	conns   sync.WaitGroup
	mu      sync.Mutex
	open    map[net.Conn]struct{}
	stopped bool
}

type backend struct {
	proxy, admin string // host:port
	ready        atomic.Bool
}

// probeInterval is how often a balancer asks: a drain must take several times as
// long before the listener closes.
const probeInterval = 20 * time.Millisecond

func newBalancer(t *testing.T, launches ...launch) *balancer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	b := &balancer{addr: l.Addr().String(), open: make(map[net.Conn]struct{})}
	for _, launch := range launches {
		b.backends = append(b.backends, &backend{proxy: launch.proxy, admin: launch.admin})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var loops sync.WaitGroup
	for _, backend := range b.backends {
		loops.Go(func() { backend.probe(ctx) })
	}
	loops.Go(func() { b.accept(l) })
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		loops.Wait()
		b.closeAll()
		b.conns.Wait()
	})
	return b
}

// probe asks the backend whether it is ready until ctx ends. An answer counts, and
// that nobody listens; that there is none in time does not.
func (b *backend) probe(ctx context.Context) {
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience,
	}
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		b.ready.Store(statusOK(ctx, client, "http://"+b.admin+"/readyz") == nil)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (b *balancer) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !b.keep(c) {
			return
		}
		b.conns.Go(func() { b.serve(c) })
	}
}

// serve passes the connection on to the first ready backend that takes it.
func (b *balancer) serve(c net.Conn) {
	defer b.drop(c)
	for range 2 * len(b.backends) {
		backend := b.backends[b.next.Add(1)%uint64(len(b.backends))]
		if !backend.ready.Load() {
			continue
		}
		up, err := (&net.Dialer{Timeout: patience}).DialContext(
			context.Background(), "tcp", backend.proxy)
		if err != nil {
			continue // it is told with the next probe
		}
		if b.keep(up) {
			splice(c, up)
			b.drop(up)
		}
		return
	}
	b.stranded.Add(1)
}

// splice copies both ways until one side ends, and ends the other.
func splice(a, b net.Conn) {
	var both sync.WaitGroup
	copyAll := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src)
		_ = dst.Close()
		_ = src.Close()
	}
	both.Go(func() { copyAll(a, b) })
	both.Go(func() { copyAll(b, a) })
	both.Wait()
}

// keep remembers a connection so that it is closed in the end; false means that
// this is the end.
func (b *balancer) keep(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		_ = c.Close()
		return false
	}
	b.open[c] = struct{}{}
	return true
}

func (b *balancer) drop(c net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, c)
	_ = c.Close()
}

func (b *balancer) closeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	for c := range b.open {
		_ = c.Close()
	}
}

// awaitReady returns when the balancer knows that all its backends are ready.
func (b *balancer) awaitReady(t *testing.T) {
	t.Helper()
	eventually(t, "the balancer has all backends", func() error {
		for _, backend := range b.backends {
			if !backend.ready.Load() {
				return errNotReady
			}
		}
		return nil
	})
}
