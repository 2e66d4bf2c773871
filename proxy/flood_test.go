package proxy_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollbook/proxy"
)

// stuck is a transport whose requests never end by themselves.
type stuck struct {
	running atomic.Int64
	leave   chan struct{}

	mu   sync.Mutex
	most int64 // of running
}

func (u *stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/good" {
		return &http.Response{
			StatusCode: http.StatusNoContent, ProtoMajor: 1, ProtoMinor: 1, Request: r,
			Header: http.Header{}, Body: http.NoBody,
		}, nil
	}
	n := u.running.Add(1)
	u.mu.Lock()
	u.most = max(u.most, n)
	u.mu.Unlock()
	<-u.leave // whether its client is there or not
	u.running.Add(-1)
	return nil, r.Context().Err()
}

// A client that begins requests and takes them back (CVE-2023-44487) does not get
// more of them running than streams are allowed.
func TestRapidResetsAreBounded(t *testing.T) {
	t.Parallel()
	const streams, attack = 250, 4000
	up := &stuck{leave: make(chan struct{})}
	s := start(t, "127.0.0.1:1", setup{transport: up})
	c := s.dialHTTP2(1 << 16)
	go c.drain()
	for i := range uint32(attack) {
		if !c.write(headers(2*i+1, "/bad"), frame{kind: frameReset, stream: 2*i + 1, payload: make([]byte, 4)}) {
			break
		}
		if i%1000 == 0 {
			wantStatus(t, s.dial(request("GET /good", "")).reply("GET"), http.StatusNoContent)
		}
	}
	wantStatus(t, s.dial(request("GET /good", "")).reply("GET"), http.StatusNoContent)
	up.mu.Lock()
	if most := up.most; most > streams {
		t.Errorf("got %d requests running, want %d at most", most, streams)
	}
	up.mu.Unlock()
	close(up.leave)
	wantPlaces(t, s)
}

func TestStreamsOfAConnectionAreBounded(t *testing.T) {
	t.Parallel()
	const streams, asked = 250, 600
	up := &stuck{leave: make(chan struct{})}
	s := start(t, "127.0.0.1:1", setup{transport: up})
	c := s.dialHTTP2(1 << 16)
	for i := range uint32(asked) {
		c.write(headers(2*i+1, "/"))
	}
	c.until(frameReset, 2*asked-1)
	eventually(t, "running what may run", func() bool { return up.running.Load() >= streams })
	if n := up.running.Load(); n > streams {
		t.Errorf("got %d requests running, want %d", n, streams)
	}
	close(up.leave)
	_ = c.Close()
}

// A head without end (CVE-2023-45288) ends its connection.
func TestContinuationFloodsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 64 << 20
	s := start(t, record(t, okReply).addr, setup{})
	c := s.dialHTTP2(1 << 16)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.drain()
	}()
	f := headers(1, "/")
	f.flags = 0
	sent := len(f.payload)
	more := frame{
		kind: frameContinuation, stream: 1,
		payload: hpack([]string{"x-a", strings.Repeat("x", 16000)}),
	}
	for c.write(f) && sent < most {
		f, sent = more, sent+len(more.payload)
	}
	within(t, ended, "ending the connection")
	if sent >= most {
		t.Errorf("got %d bytes of a head taken", sent)
	}
	wantStatus(t, s.dial(request("GET /", "")).reply("GET"), http.StatusOK)
}

func TestLongHeadsAreRefused(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"100,000 headers": strings.Repeat("X-A: b\r\n", 100_000),
		"1 MB line":       "X-A: " + strings.Repeat("x", 1<<20) + "\r\n",
		"1 MB name":       strings.Repeat("x", 1<<20) + ": x\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewRegistry()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{
				proxy:  proxy.Config{Metrics: proxy.NewMetrics(reg)},
				server: proxy.ServerConfig{MaxHeaderBytes: 16 << 10},
			})
			p := s.dial("")
			go func() { _, _ = p.Write([]byte(request("GET /", "", strings.TrimSuffix(head, "\r\n")))) }()
			wantStatus(t, p.reply("GET"), http.StatusRequestHeaderFieldsTooLarge)
			_ = p.Close()
			wantStatus(t, s.dial(request("GET /", "", "X-A: "+strings.Repeat("x", 15<<10))).reply("GET"), 200)
			if n := rec.hits(); n != 1 {
				t.Errorf("got %d requests upstream, want that below the limit alone", n)
			}
			eventually(t, "counting it", func() bool {
				return scrape(t, reg)["tollbook_requests_unparsed_total"] == 1
			})
		})
	}
}

func TestSlowHeadsAndIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	with := setup{server: proxy.ServerConfig{ReadHeaderTimeout: stallSoon, IdleTimeout: 2 * stallSoon}}
	for _, d := range []dialect{dialects[0], dialects[1]} {
		s := start(t, record(t, okReply).addr, d.setup(t, with))
		p := s.dial("")
		if !d.secure {
			p.say("GET / HTTP/1.1\r\nHost: api") // and no more
		}
		p.everything() // before it has the patience to wait for
		if d.secure {
			c := s.dialTLS("http/1.1")
			_ = c.SetDeadline(time.Now().Add(patience))
			_, _ = c.Write([]byte("GET / HTTP/1.1\r\n"))
			if got := readAll(t, c); strings.Contains(got, "200") {
				t.Errorf("got %q of half a head", got)
			}
			continue
		}
		p = s.dial(request("GET /", ""))
		wantStatus(t, p.reply("GET"), http.StatusOK)
		if got := p.everything(); got != "ok" {
			t.Errorf("got %q, want the reply and the end of the connection", got)
		}
		c := s.dialHTTP2(1 << 16)
		c.until(frameGoAway, 0)
	}
}
