package proxy_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"tollbook/audit"
)

func TestDrainingRepliesCloseTheirConnections(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"short": okReply, "chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, record(t, reply).addr, setup{})
			if res := s.dial(request("GET /", "")).reply("GET"); res.Close {
				t.Error("got Connection: close before the drain")
			}
			s.handler.Drain()
			for _, text := range []string{
				request("GET /", ""), plain("GET /", ""), request("GET /", "", "X_Y: 1"),
			} {
				if res := s.dial(text).reply("GET"); !res.Close {
					t.Errorf("got status %d without Connection: close", res.StatusCode)
				}
			}
		})
	}
}

func TestAbortRefusesNewRequests(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	s.handler.Abort()
	wantReply(t, s.dial(request("GET /", "")).reply("GET"), http.StatusServiceUnavailable,
		"draining", "Shutting down")
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
	if r := s.only(audit.Refused); r.Reason != "draining" {
		t.Errorf("got reason %q, want draining", r.Reason)
	}
}

func wantDrained(t *testing.T, s *sidecar, status, upstream int64) {
	t.Helper()
	wantOutcome(t, s.only(audit.Completed), audit.Rejected, "draining", status, upstream)
}

func TestAbortEndsRequestsThatWait(t *testing.T) {
	t.Parallel()
	came := make(chan struct{})
	s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
	}), setup{})
	p := s.dial(request("GET /", ""))
	within(t, came, "the request")
	s.handler.Abort()
	wantReply(t, p.reply("GET"), http.StatusServiceUnavailable, "draining", "Shutting down")
	wantDrained(t, s, 503, 0)
}

func TestAbortCutsReplies(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{"chunked": "", "long": "Content-Length: 1000000\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				if header != "" {
					w.Header().Set("Content-Length", "1000000")
				}
				_, _ = io.WriteString(w, "hello")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}), setup{})
			p := s.dial(request("GET /", ""))
			res := p.reply("GET")
			if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
				t.Fatalf("reading: %v", err)
			}
			s.handler.Abort()
			if rest, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("got %q and the end, want a cut reply", rest)
			}
			wantDrained(t, s, 200, 200)
		})
	}
}

func TestAbortEndsUploadsThatStall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ header, body string }{
		"length":  {"Content-Length: 10", "hello"},
		"chunked": {"Transfer-Encoding: chunked", "5\r\nhello\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			came := make(chan struct{})
			s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadFull(r.Body, make([]byte, 5))
				close(came)
				_, _ = io.ReadAll(r.Body)
			}), setup{})
			p := s.dial(request("POST /", test.body, test.header))
			within(t, came, "the part that was sent")
			s.handler.Abort()
			wantReply(t, p.reply("POST"), http.StatusServiceUnavailable, "draining", "Shutting down")
			if rest := p.everything(); rest != "" {
				t.Errorf("got %q after the reply, want the end of the connection", rest)
			}
			wantDrained(t, s, 503, 0)
		})
	}
}

func TestWaitCountsTunnelsAndAbortEndsThem(t *testing.T) {
	t.Parallel()
	s := start(t, echo(t), setup{})
	p := s.dial(request("GET /ws", "", webSocket))
	wantStatus(t, p.reply("GET"), http.StatusSwitchingProtocols)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.handler.Wait(over); err == nil {
		t.Error("got no error of Wait while a tunnel is open")
	}
	s.handler.Abort()
	if err := s.handler.Wait(t.Context()); err != nil {
		t.Errorf("got error %v of Wait after Abort", err)
	}
	if rest, _ := io.ReadAll(p.in); len(rest) > 0 {
		t.Errorf("got %q from the tunnel", rest)
	}
	wantDrained(t, s, 101, 101)
}

// The client hears of an upstream that went away during its upload when it sends
// more, and not only when it has sent everything.
func TestUpstreamsThatLeaveDuringAnUploadAreTold(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := start(t, scripted(t, func(p *peer, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
		_ = p.SetLinger(0)
		_ = p.Close()
		close(gone)
	}), setup{})
	p := s.dial(request("POST /", "hello", "Content-Length: 100000000"))
	within(t, gone, "the upstream")
	go func() {
		for range 1000 {
			if _, err := p.Write([]byte("more")); err != nil {
				return
			}
		}
	}()
	wantReply(t, p.reply("POST"), http.StatusBadGateway, "upstream_unreachable", "Upstream unreachable")
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.UpstreamError, "upstream_unreachable", 502, 0)
	if r.Req.Complete || r.Req.Bytes < 5 {
		t.Errorf("got request body %+v, want some of it, incomplete", r.Req)
	}
}

// A silent connection is closed after a while; one whose request has begun to
// come is not.
func TestShutdownWaitsForRequestsUnderWay(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, setup{})
	text := request("GET /", "")
	coming, silent := s.dial(text[:20]), s.dial("")
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stop()
	}()
	if got := silent.everything(); got != "" {
		t.Errorf("got %q on a silent connection", got)
	}
	coming.say(text[20:])
	wantStatus(t, coming.reply("GET"), http.StatusOK)
	_ = coming.Close()
	within(t, done, "the shutdown")
}
