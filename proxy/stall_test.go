package proxy_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
	"tollbook/proxy"
)

// stallSoon is short; stallLater is long for what must not take so long, and quiet
// longer than it.
const (
	stallSoon  = 50 * time.Millisecond
	stallLater = 250 * time.Millisecond
	quiet      = 3 * stallLater
)

func stalling(d time.Duration) setup { return setup{proxy: proxy.Config{StallTimeout: d}} }

// bodies are the protocols on which a client's body can stall.
var bodies = map[string]struct {
	dialect dialect
	sized   bool
}{
	"HTTP/1.1":          {dialects[0], true},
	"HTTP/1.1, chunked": {dialects[0], false},
	"HTTP/2":            {dialects[2], true},
	"h2c":               {dialects[3], false},
}

// post sends a request whose body is what the test writes, of this length.
func (d dialect) post(s *sidecar, length int64, header ...string) (io.WriteCloser, <-chan answer) {
	s.t.Helper()
	in, out := io.Pipe()
	r := d.request(s, "POST", "/", header...)
	r.Body, r.ContentLength = in, length
	replies := make(chan answer, 1)
	client := d.client(s)
	go func() {
		defer close(replies)
		res, err := client.Do(r)
		if err != nil {
			s.t.Errorf("POST: %v", err)
			return
		}
		s.t.Cleanup(func() { _ = res.Body.Close() })
		replies <- answer{res}
	}()
	s.t.Cleanup(func() { _ = out.Close() })
	return out, replies
}

func TestBodiesThatStallAreGivenUp(t *testing.T) {
	t.Parallel()
	for name, test := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				ended <- err
			}), test.dialect.setup(t, stalling(stallSoon)))
			length := int64(-1)
			if test.sized {
				length = 10
			}
			body, replies := test.dialect.post(s, length)
			_, _ = io.WriteString(body, "hello")
			wantReply(t, <-replies, http.StatusRequestTimeout, "body_stalled",
				"The request body did not arrive in time")
			if err := <-ended; err == nil {
				t.Error("got a complete body upstream, want an error")
			}
			r := s.only(audit.Completed)
			wantOutcome(t, r, audit.Rejected, "body_stalled", 408, 0)
			wantBody(t, "request", r.Req, "hello", false)
		})
	}
}

// A call may be quiet, and anybody can say that what he sends is one.
func TestPublicBodiesStallWhateverTheyAreCalled(t *testing.T) {
	t.Parallel()
	with := stalling(stallSoon)
	with.proxy.PublicRoutes = []string{"POST /hook"}
	s := start(t, record(t, okReply).addr, with)
	p := s.dial(plain("POST /hook", "x", "Content-Type: application/grpc", "Content-Length: 9"))
	wantReply(t, p.reply("POST"), http.StatusRequestTimeout, "body_stalled",
		"The request body did not arrive in time")
	wantPlaces(t, s)
}

func TestSlowBodiesThatMovePass(t *testing.T) {
	t.Parallel()
	const stall, often, bytes = 600 * time.Millisecond, 60 * time.Millisecond, 11 // together longer than stall
	for name, test := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, r.Body)
			}), test.dialect.setup(t, stalling(stall)))
			length := int64(-1)
			if test.sized {
				length = bytes
			}
			body, replies := test.dialect.post(s, length)
			for range bytes {
				time.Sleep(often)
				_, _ = io.WriteString(body, "x")
			}
			_ = body.Close()
			if got := readAll(t, (<-replies).Body); got != strings.Repeat("x", bytes) {
				t.Errorf("got %q back", got)
			}
		})
	}
}

// The upstream may think as long as it likes, once it has the body, and take the
// body as slowly: the client is not to blame.
func TestSlowUpstreamsAreNoStalledClients(t *testing.T) {
	t.Parallel()
	const size = 24 << 20 // more than everything between the two can hold
	for name, test := range bodies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadFull(r.Body, make([]byte, 100))
				time.Sleep(quiet)
				n, err := io.Copy(io.Discard, r.Body)
				if n += 100; n != size || err != nil {
					t.Errorf("got %d bytes upstream and error %v, want %d", n, err, size)
				}
				time.Sleep(quiet)
				_, _ = io.WriteString(w, "ok")
			}), test.dialect.setup(t, stalling(stallLater)))
			r := test.dialect.request(s, "POST", "/")
			r.Body, r.ContentLength = io.NopCloser(fill(size)), -1
			if test.sized {
				r.ContentLength = size
			}
			res, err := test.dialect.client(s).Do(r)
			if err != nil {
				t.Fatalf("POST: %v", err)
			}
			defer res.Body.Close()
			if got := readAll(t, res.Body); got != "ok" {
				t.Errorf("got %d %q, want ok", res.StatusCode, got)
			}
			wantOutcome(t, s.only(audit.Completed), audit.OK, "", 200, 200)
		})
	}
}

// endless is an upstream that sends for as long as it is listened to.
func endless(t *testing.T, length string) (addr string, told <-chan struct{}) {
	gone := make(chan struct{})
	return httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			return
		}
		if length != "" {
			w.Header().Set("Content-Length", length)
		}
		_, _ = io.Copy(w, fill(1<<40))
		close(gone)
	}), gone
}

func wantStalled(t *testing.T, s *sidecar) {
	t.Helper()
	for _, r := range s.records() {
		if r.Phase == audit.Completed && r.Path == "/" {
			wantOutcome(t, r, audit.Rejected, "client_stalled", 200, 200)
			return
		}
	}
	t.Error("got no completed record")
}

func TestClientsThatTakeNothingAreCut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		length string
		open   func(s *sidecar)
	}{
		"chunked":  {"", func(s *sidecar) { s.dial(request("GET /", "")) }},
		"length":   {"1000000000000", func(s *sidecar) { s.dial(request("GET /", "")) }},
		"HTTP/1.0": {"", func(s *sidecar) { s.dial("GET / HTTP/1.0\r\n" + authorization() + "\r\n\r\n") }},
		"HTTP/2": {"", func(s *sidecar) { // takes nothing of the connection
			c := s.dialHTTP2(1000)
			c.write(headers(1, "/"))
			c.grant(1, 1<<30)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, told := endless(t, test.length)
			s := start(t, addr, stalling(stallSoon))
			test.open(s)
			within(t, told, "telling the upstream")
			_ = s.server.Close() // HTTP/2 would be asked whether it lives
			wantStalled(t, s)
		})
	}
}

// An old client reads on after it was cut: it must not take that for the end.
func TestStalledOldClientsAreReset(t *testing.T) {
	t.Parallel()
	addr, told := endless(t, "")
	s := start(t, addr, stalling(stallSoon))
	p := s.dial("GET / HTTP/1.0\r\n" + authorization() + "\r\n\r\n")
	within(t, told, "telling the upstream")
	wantStalled(t, s)
	if n, err := io.Copy(io.Discard, p.in); err == nil {
		t.Errorf("got %d bytes and the end, want a reset", n)
	}
}

// One stream of an HTTP/2 connection stands still: it alone is cut.
func TestStreamsThatTakeNothingAreCut(t *testing.T) {
	t.Parallel()
	addr, told := endless(t, "")
	s := start(t, addr, stalling(stallSoon))
	c := s.dialHTTP2(1000)
	c.write(headers(1, "/"))
	c.until(frameReset, 1)
	within(t, told, "telling the upstream")
	c.write(headers(3, "/other"))
	if f := c.until(frameHeaders, 3); f.flags&flagEndStream == 0 {
		t.Errorf("got flags %x, want a whole reply on the other stream", f.flags)
	}
	_ = c.Close()
	wantStalled(t, s)
}

func TestRepliesThatMovePass(t *testing.T) {
	t.Parallel()
	const steps, step = 11, 32 << 10
	s := start(t, httpUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, fill(steps*step))
	}), stalling(600*time.Millisecond))
	c := s.dialHTTP2(step)
	c.write(headers(1, "/"))
	got := 0
	for f := c.until(frameData, 1); f.flags&flagEndStream == 0; f = c.until(frameData, 1) {
		if got += len(f.payload); got%step == 0 {
			time.Sleep(60 * time.Millisecond) // in all, longer than the stall timeout
			c.grant(1, step)
		}
	}
	_ = c.Close()
	if r := s.only(audit.Completed); got != steps*step || r.Outcome != audit.OK {
		t.Errorf("got %d bytes and %s, want %d and ok", got, r.Outcome, steps*step)
	}
}

func TestWebSocketsThatTakeNothingAreCut(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := start(t, scripted(t, func(p *peer, _ *http.Request) {
		p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		if _, err := io.Copy(p.TCPConn, fill(1<<40)); err == nil || errors.Is(err, io.EOF) {
			t.Error("got no error of a tunnel that nobody listens to")
		}
		close(gone)
	}), stalling(stallSoon))
	s.dial(request("GET /ws", "", webSocket))
	within(t, gone, "closing the tunnel")
	wantOutcome(t, s.only(audit.Completed), audit.Rejected, "client_stalled", 101, 101)
}
