package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tollbook/audit"
	"tollbook/proxy"
)

// Upstreams that behave badly: nothing breaks but their own request, and the
// trail tells of it.

func TestRepliesThatAreNoneAreBadGateways(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\n"
	for name, reply := range map[string]string{
		"nothing":        "",
		"garbage":        "\x00\xff\x15\x03 garbage \r\n\r\n",
		"TLS":            "\x15\x03\x01\x00\x02\x02\x46",
		"another server": "220 mail.example ESMTP\r\n",
		"half a head":    head + "X-A: 1\r\n",
		"status 0":       "HTTP/1.1 000 None\r\nContent-Length: 2\r\n\r\nok",
		"status 99":      "HTTP/1.1 099 None\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"no header":      head + "no header\r\n\r\n",
		"two lengths":    head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nok",
		"a bad length":   head + "Content-Length: -1\r\n\r\nok",
		"a bad coding":   head + "Transfer-Encoding: what\r\n\r\nok",
		"a bad chunk":    head + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n",
		"a huge head":    head + "X-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
		"endless hints":  strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n", 20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, upstream(t, func(p *peer) {
				if _, err := http.ReadRequest(p.in); err == nil {
					_, _ = io.WriteString(p.TCPConn, reply) // it may be cut off
				}
			}), setup{})
			p := s.dial(request("POST /", "x", "Content-Length: 1"))
			if name == "a bad chunk" {
				wantCut(t, p, 1)
			} else {
				wantReply(t, final(p), http.StatusBadGateway, "upstream_unreachable", "Upstream unreachable")
			}
			r := s.only(audit.Completed)
			if r.Outcome != audit.UpstreamError || r.Res != nil && r.Res.Complete {
				t.Errorf("got %s and reply %+v, want upstream_error and no whole reply", r.Outcome, r.Res)
			}
		})
	}
}

// final reads the first reply that is no hint.
func final(p *peer) answer {
	p.t.Helper()
	for {
		if res := p.reply("POST"); res.StatusCode >= 200 {
			return res
		}
	}
}

// What the upstream has no business to send is never taken for the next reply.
func TestBytesBehindAReplyAreNoReply(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"304 with a body": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
		"304 in chunks":   "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"204 with a body": "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
		"a second reply":  "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			s := start(t, scripted(t, func(p *peer, _ *http.Request) {
				if asked.Add(1) == 1 {
					p.say(reply)
				} else {
					p.say(okReply)
				}
			}), setup{})
			client := s.dial(request("GET /", ""))
			res := client.reply("GET")
			if got := readAll(t, res.Body); got != "" || res.StatusCode/100 == 5 {
				t.Errorf("got %d %q, want the upstream's status and no body", res.StatusCode, got)
			}
			// It may have been sent on that connection before the bytes were found.
			client.say(request("GET /", ""))
			next := client.reply("GET")
			if got := readAll(t, next.Body); got != "ok" && next.StatusCode != http.StatusBadGateway {
				t.Errorf("got %d %q for the next request, want its own reply or none", next.StatusCode, got)
			}
			for _, r := range s.records() {
				if r.Phase == audit.Completed && r.Res != nil && r.Res.Bytes > 2 {
					t.Errorf("got %s and %+v, want what the client got", r.Outcome, r.Res)
				}
			}
		})
	}
}

// An upstream that takes nothing of an upload has not even begun to be late with
// its reply.
func TestUpstreamsThatTakeNothingTimeOut(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			network, address := "tcp", "127.0.0.1:0"
			if scheme == "unix" {
				network, address = "unix", t.TempDir()+"/api.sock"
			}
			l, err := (&net.ListenConfig{}).Listen(t.Context(), network, address) // accepts nobody
			if err != nil {
				t.Fatalf("listening: %v", err)
			}
			t.Cleanup(func() { _ = l.Close() })
			s := start(t, scheme+"://"+l.Addr().String(), setup{timeout: 100 * time.Millisecond})
			p := s.dial(request("POST /", strings.Repeat("x", 1<<20), "Content-Length: 1000000000"))
			go func() { _, _ = io.Copy(p.TCPConn, fill(1000000000-1<<20)) }() // until it is cut
			wantReply(t, p.reply("POST"), http.StatusGatewayTimeout, "upstream_timeout", "Upstream timed out")
			r := s.only(audit.Completed)
			wantOutcome(t, r, audit.Timeout, "upstream_timeout", 504, 0)
			if r.Req.Complete || r.Req.Bytes == 0 {
				t.Errorf("got request %+v, want some of it", r.Req)
			}
		})
	}
}

// On HTTP/2 it stands still on a connection that moves.
func TestUpstreamsOfHTTP2ThatTakeNothingTimeOut(t *testing.T) {
	t.Parallel()
	s := start(t, h2cUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}), setup{timeout: 100 * time.Millisecond})
	const size = 4 << 20 // more than may be on its way
	p := s.dial(request("POST /", "", fmt.Sprintf("Content-Length: %d", size)))
	go func() { _, _ = io.Copy(p.TCPConn, fill(size)) }()
	wantReply(t, p.reply("POST"), http.StatusGatewayTimeout, "upstream_timeout", "Upstream timed out")
	wantPlaces(t, s)
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.Timeout, "upstream_timeout", 504, 0)
	if r.Req.Complete || r.Req.Bytes == 0 {
		t.Errorf("got request %+v, want some of it", r.Req)
	}
}

// A huge body takes no more memory than a part of it: what is allocated while it
// passes, freed or not, is less than half of it. That is judged by 64 MiB: what
// would grow with the body would show by then, and 2 GiB take too long.
//
//nolint:paralleltest // other tests allocate too
func TestHugeRepliesTakeLittleMemory(t *testing.T) {
	const size = 64 << 20
	block := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	write := func(w io.Writer) {
		for range size / len(block) {
			_, _ = w.Write(block)
		}
	}
	for name, addr := range map[string]string{
		"known length": scripted(t, func(p *peer, _ *http.Request) {
			p.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
			write(p)
		}),
		"chunked": httpUpstream(t, func(w http.ResponseWriter, _ *http.Request) { write(w) }),
		"HTTP/2":  h2cUpstream(t, func(w http.ResponseWriter, _ *http.Request) { write(w) }),
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, addr, setup{})
			res := s.dial(request("GET /", "")).reply("GET")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 32<<10))
			runtime.ReadMemStats(&after)
			if err != nil || n != size {
				t.Fatalf("got %d bytes and error %v, want %d", n, err, size)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > size/2 {
				t.Errorf("allocated %d MiB for %d MiB", got>>20, size>>20)
			}
			if r := s.only(audit.Completed); r.Res.Bytes != size || !r.Res.Complete {
				t.Errorf("got reply %+v in the trail, want %d bytes", r.Res, size)
			}
		})
	}
}

// A line is what stands between the sidecar and its upstream, and may die without
// a sign.
type line struct {
	addr  string
	cut   chan struct{} // closed: the first connection is dead
	lines atomic.Int64
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l := &line{cut: make(chan struct{})}
	ended := make(chan struct{})
	l.addr = upstream(t, func(p *peer) {
		first := l.lines.Add(1) == 1
		far, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", to)
		if err != nil {
			t.Errorf("dialling: %v", err)
			return
		}
		if first {
			go func() { <-l.cut; _ = far.Close() }()
		}
		go func() {
			defer far.Close()
			_, _ = io.Copy(far, p.in)
		}()
		_, _ = io.Copy(p.TCPConn, far)
		if first { // from now on it says nothing, and stays open
			<-ended
		}
	})
	t.Cleanup(func() { close(ended) })
	return l
}

func TestDeadConnectionsOfHTTP2AreLeft(t *testing.T) {
	t.Parallel()
	server := h2cUpstream(t, func(http.ResponseWriter, *http.Request) {})
	l := newLine(t, strings.TrimPrefix(server, "h2c://"))
	transport, _, err := proxy.NewTransport(proxy.TransportConfig{
		Upstream: &url.URL{Scheme: "h2c", Host: l.addr},
	})
	if err != nil {
		t.Fatalf("NewTransport: %v", err)
	}
	// gRPC takes one ping in 5 min.
	if got := transport.HTTP2.SendPingTimeout; got <= 5*time.Minute || got > 6*time.Minute {
		t.Errorf("got a ping after %v, want a little more than 5 min", got)
	}
	const soon = 500 * time.Millisecond
	transport.HTTP2.SendPingTimeout, transport.HTTP2.PingTimeout = soon, soon
	t.Cleanup(transport.CloseIdleConnections)
	s := start(t, "h2c://"+l.addr, setup{transport: transport})
	wantStatus(t, s.do("GET", "/", nil), http.StatusOK)
	close(l.cut)
	if got := s.do("POST", "/", strings.NewReader("x")).StatusCode; got/100 != 5 {
		t.Errorf("got status %d over a dead connection, want a 5xx", got)
	}
	wantStatus(t, s.do("GET", "/", nil), http.StatusOK)
	if got := l.lines.Load(); got != 2 {
		t.Errorf("got %d connections, want a new one", got)
	}
}
