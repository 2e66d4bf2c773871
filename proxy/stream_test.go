package proxy_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
	"tollbook/proxy"
)

// talk is an upstream that upgrades and hands the tunnel to serve.
func talk(t *testing.T, serve func(*peer)) string {
	return scripted(t, func(p *peer, _ *http.Request) {
		p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		serve(p)
		_ = p.Close()
	})
}

// What passes is not changed, and each side may end before the other.
func TestWebSocketsPassByteForByteAndEndOneWayAtATime(t *testing.T) {
	t.Parallel()
	up := strings.Repeat("\x81\x05\x00\xff", 50_000)
	down := strings.Repeat("\x82\x7e\r\n", 70_000)
	for name, upFirst := range map[string]bool{"client ends first": true, "upstream ends first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := make(chan string, 1)
			s := start(t, talk(t, func(p *peer) {
				if !upFirst {
					p.say(down)
					_ = p.CloseWrite()
				}
				content, _ := io.ReadAll(p.in)
				heard <- string(content)
				if upFirst {
					p.say(down)
				}
			}), setup{})
			p := s.dial(request("GET /ws", "", webSocket))
			wantStatus(t, p.reply("GET"), http.StatusSwitchingProtocols)
			var got string
			if !upFirst {
				got = p.everything()
			}
			p.say(up)
			_ = p.CloseWrite()
			if upFirst {
				got = p.everything()
			}
			if text := <-heard; text != up || got != down {
				t.Errorf("got %d bytes upstream and %d back, want %d and %d unchanged",
					len(text), len(got), len(up), len(down))
			}
			r := s.only(audit.Completed)
			wantOutcome(t, r, audit.OK, "", 101, 101)
			wantBody(t, "request", r.Req, up, true)
			wantBody(t, "reply", r.Res, down, true)
		})
	}
}

func TestWebSocketsOverTLSWork(t *testing.T) {
	t.Parallel()
	d := dialects[1]
	s := start(t, echo(t), d.setup(t, setup{}))
	c := s.dialTLS("http/1.1")
	_, _ = io.WriteString(c, request("GET /ws", "", webSocket))
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("reading a reply: %v", err)
	}
	_ = res.Body.Close()
	_, _ = io.WriteString(c, "hello")
	_ = c.CloseWrite()
	if got := readAll(t, in); res.StatusCode != http.StatusSwitchingProtocols || got != "hello" {
		t.Errorf("got %d %q, want 101 and the echo", res.StatusCode, got)
	}
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.OK, "", 101, 101)
	wantBody(t, "request", r.Req, "hello", true)
}

func TestTunnelsThatAreCutTellHowFarTheyCame(t *testing.T) {
	t.Parallel()
	s := start(t, echo(t), setup{})
	p := s.dial(request("GET /ws", "", webSocket))
	wantStatus(t, p.reply("GET"), http.StatusSwitchingProtocols)
	p.say("hello")
	_, _ = io.ReadFull(p.in, make([]byte, 5))
	s.handler.Abort()
	if rest, _ := io.ReadAll(p.in); len(rest) > 0 {
		t.Errorf("got %q more", rest)
	}
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.Rejected, "draining", 101, 101)
	wantBody(t, "request", r.Req, "hello", false)
	wantBody(t, "reply", r.Res, "hello", false)
}

// streams are the kinds that a lifetime bounds, each with how it is begun.
var streams = map[string]func(t *testing.T, s *sidecar) io.Reader{
	"WebSocket": func(t *testing.T, s *sidecar) io.Reader {
		t.Helper()
		p := s.dial(request("GET /ws", "", webSocket))
		wantStatus(t, p.reply("GET"), http.StatusSwitchingProtocols)
		return p.in
	},
	"events": func(t *testing.T, s *sidecar) io.Reader {
		t.Helper()
		res := s.dial(request("GET /", "")).reply("GET")
		wantStatus(t, res, http.StatusOK)
		return res.Body
	},
	"events over HTTP/2": func(t *testing.T, s *sidecar) io.Reader {
		t.Helper()
		res, err := dialects[3].client(s).Do(dialects[3].request(s, "GET", "/"))
		if err != nil {
			t.Fatalf("GET: %v", err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res.Body
	},
	"gRPC": func(t *testing.T, s *sidecar) io.Reader {
		t.Helper()
		_, replies := dialects[3].post(s, -1, "Content-Type: application/grpc")
		return (<-replies).Body
	},
}

// lasting is an upstream of streams that do not end by themselves.
func lasting(t *testing.T) string {
	return scripted(t, func(p *peer, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		case r.Method == http.MethodPost:
			p.say("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n")
		default:
			p.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		}
		_, _ = io.Copy(io.Discard, p.in)
	})
}

func TestStreamsEndWithTheirLifetime(t *testing.T) {
	t.Parallel()
	const leeway = 10 * time.Second
	soon := noon.Add(time.Minute + leeway - stallSoon) // a token's life is a minute
	now := func() time.Time { return soon }
	early := func() time.Time { return noon }
	for limit, with := range map[string]proxy.Config{
		"duration":        {StreamLifetime: stallSoon},
		"token":           {TokenLifetime: true, Leeway: leeway, Now: now},
		"token sooner":    {StreamLifetime: time.Hour, TokenLifetime: true, Leeway: leeway, Now: now},
		"duration sooner": {StreamLifetime: stallSoon, TokenLifetime: true, Now: early},
	} {
		for kind, begin := range streams {
			t.Run(limit+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := start(t, lasting(t), setup{proxy: with})
				got, err := io.ReadAll(begin(t, s))
				if err == nil && kind != "WebSocket" {
					t.Errorf("got %q and the end, want a cut stream", got)
				}
				status := int64(200)
				if kind == "WebSocket" {
					status = 101
				}
				wantOutcome(t, s.only(audit.Completed), audit.Rejected, "stream_lifetime", status, status)
			})
		}
	}
}

// Ordinary requests have no lifetime.
func TestOrdinaryRequestsOutliveTheStreams(t *testing.T) {
	t.Parallel()
	s := start(t, httpUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(3 * stallSoon)
		_, _ = io.WriteString(w, "ok")
	}), setup{proxy: proxy.Config{StreamLifetime: stallSoon}})
	if got := readAll(t, s.do("GET", "/", nil).Body); got != "ok" {
		t.Errorf("got %q, want ok", got)
	}
}

// Nothing waits in our buffers, whatever the protocols: each side sends its next
// word when it has heard the other's.
func TestWhatFlowsFlowsAtOnce(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		for name, serve := range upstreams {
			t.Run(d.name+" to "+name, func(t *testing.T) {
				t.Parallel()
				next := make(chan string)
				s := start(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					_ = http.NewResponseController(w).Flush()
					for event := range next {
						_, _ = io.WriteString(w, event)
						_ = http.NewResponseController(w).Flush()
					}
				}), d.setup(t, setup{}))
				res, err := d.client(s).Do(d.request(s, "GET", "/"))
				if err != nil {
					t.Fatalf("GET: %v", err)
				}
				defer res.Body.Close()
				in := bufio.NewReader(res.Body)
				for _, event := range []string{"data: 1\n", "data: 2\n"} {
					next <- event
					if got, err := in.ReadString('\n'); err != nil || got != event {
						t.Fatalf("got %q, %v, want %q before the next is sent", got, err, event)
					}
				}
				close(next)
				readAll(t, in)
			})
		}
	}
}
