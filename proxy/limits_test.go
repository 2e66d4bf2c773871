package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollbook/audit"
	"tollbook/proxy"
)

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in %s", what, patience)
		}
	}
}

// wantPlaces waits until no place is taken.
func wantPlaces(t testing.TB, s *sidecar) {
	t.Helper()
	eventually(t, "giving the places back", func() bool {
		return s.handler.InFlight() == 0 && s.handler.Streams() == 0
	})
}

// slots is an upstream each of whose requests waits to be let go.
func slots(t testing.TB) (addr string, came, leave chan struct{}) {
	came, leave = make(chan struct{}, 9), make(chan struct{})
	return httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		select {
		case <-leave:
		case <-r.Context().Done():
		}
	}), came, leave
}

func TestRequestsBeyondTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	addr, came, leave := slots(t)
	s := start(t, addr, setup{proxy: proxy.Config{MaxInFlight: 2, Metrics: proxy.NewMetrics(reg)}})
	first, second := s.dial(request("GET /1", "")), s.dial(request("GET /2", ""))
	within(t, came, "a request")
	<-came
	third := s.dial(request("POST /3", "body", "Content-Length: 4"))
	res := third.reply("POST")
	wantReply(t, res, http.StatusServiceUnavailable, "overloaded", "Too many requests in flight")
	if got := res.Header.Get("Retry-After"); got != "1" {
		t.Errorf("got Retry-After %q, want 1", got)
	}
	// Who is nobody can't tell that it is full, and takes no place.
	wantStatus(t, s.dial(plain("GET /", "")).reply("GET"), http.StatusUnauthorized)
	if n := s.handler.InFlight(); n != 2 {
		t.Errorf("got %d in flight, want 2", n)
	}
	close(leave)
	wantStatus(t, first.reply("GET"), http.StatusOK)
	wantStatus(t, second.reply("GET"), http.StatusOK)
	wantPlaces(t, s)
	third.say(request("GET /4", "")) // the refused one's connection is of use still
	wantStatus(t, third.reply("GET"), http.StatusOK)
	wantValues(t, scrape(t, reg), map[string]float64{
		`tollbook_refusals_total{reason="overloaded"}`: 1,
	})
}

func TestRefusalsOfUnknownCallersTakeNoPlace(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{proxy: proxy.Config{MaxInFlight: 1}})
	for range 5 { // they are waited for a second, as their bodies don't come
		s.dial(plain("POST /", "", "Content-Length: 5"))
	}
	wantStatus(t, s.dial(request("GET /", "")).reply("GET"), http.StatusOK)
}

// Whoever finds a slow public route must not shut out those who are known.
func TestPublicRequestsTakeHalfOfThePlaces(t *testing.T) {
	t.Parallel()
	addr, came, leave := slots(t)
	cfg := proxy.Config{MaxInFlight: 4, PublicRoutes: []string{"GET /public"}}
	s := start(t, addr, setup{proxy: cfg})
	public, known := plain("GET /public", ""), request("GET /", "")
	var all []*peer
	for _, text := range []string{public, public, known, known} {
		all = append(all, s.dial(text))
		<-came
		if len(all) < 2 {
			continue
		}
		wantReply(t, s.dial(public).reply("GET"), http.StatusServiceUnavailable,
			"overloaded", "Too many requests in flight")
	}
	wantReply(t, s.dial(known).reply("GET"), http.StatusServiceUnavailable,
		"overloaded", "Too many requests in flight")
	close(leave)
	for _, p := range all {
		wantStatus(t, p.reply("GET"), http.StatusOK)
	}
	wantPlaces(t, s)
	wantStatus(t, s.dial(public).reply("GET"), http.StatusOK)
}

// A place comes back however its request ends.
func TestPlacesAreGivenBack(t *testing.T) {
	t.Parallel()
	bug := tripper(func(*http.Request) (*http.Response, error) { panic("a bug") })
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}
	leave := func(p *peer) { _ = p.Close() }
	get := request("GET /", "")
	for name, test := range map[string]struct {
		with     setup
		upstream http.HandlerFunc // nil: answers at once
		send     string
		then     func(*peer) // nil: reads to the end
	}{
		"a reply": {send: request("GET /", "", "Connection: close")},
		"a panic": {with: setup{transport: bug}, send: get},
		"a client that leaves": {
			upstream: hang, send: get,
			then: leave,
		},
		"a client that leaves its upload": {
			upstream: hang, send: request("POST /", "x", "Content-Length: 9"), then: leave,
		},
		"a timeout": {
			with: setup{timeout: stallSoon}, upstream: hang,
			send: request("GET /", "", "Connection: close"),
		},
		"a refusal": {
			with: setup{proxy: proxy.Config{ReasonMethods: []string{"GET"}}},
			send: request("GET /", "", "Connection: close"),
		},
		"a body too large": {
			with: setup{proxy: proxy.Config{MaxBodyBytes: 1}},
			send: request("POST /", "2\r\nxx\r\n", "Transfer-Encoding: chunked"),
		},
		"a body that is malformed": {send: request("POST /", "zz\r\n", "Transfer-Encoding: chunked")},
		"a body that stalls":       {with: stalling(stallSoon), send: request("POST /", "", "Content-Length: 9")},
		"a cut reply": {
			upstream: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.Copy(w, fill(100_000))
				panic(http.ErrAbortHandler)
			},
			send: get, then: func(p *peer) { _, _ = io.ReadAll(p.in) },
		},
		"a tunnel":  {send: request("GET /ws", "", webSocket), then: leave},
		"no tunnel": {send: request("GET /", "", webSocket, "Connection: close"), then: leave},
		"a call":    {send: request("POST /", "", "Content-Type: application/grpc", "Connection: close")},
		"events": {
			upstream: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			},
			send: request("GET /", "", "Connection: close"),
		},
		"events that nobody hears": {
			upstream: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_ = http.NewResponseController(w).Flush()
				hang(w, r)
			},
			send: get, then: func(p *peer) { p.reply("GET"); _ = p.Close() },
		},
		"events without a place": {
			with: setup{proxy: proxy.Config{MaxStreams: -1}},
			upstream: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
			},
			send: request("GET /", "", "Connection: close"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			came := make(chan struct{}, 1)
			addr := httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				came <- struct{}{}
				if test.upstream != nil {
					test.upstream(w, r)
				}
			})
			if name == "a tunnel" {
				addr = echo(t)
				close(came)
			}
			s := start(t, addr, test.with)
			p := s.dial(test.send)
			if test.then == nil {
				p.everything()
			} else {
				within(t, came, "the request")
				test.then(p)
			}
			wantPlaces(t, s)
		})
	}
}

func TestStreamsBeyondTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	addr := scripted(t, func(p *peer, r *http.Request) {
		switch {
		case r.Header.Get("Upgrade") != "":
			p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(p.TCPConn, p.in)
		case r.URL.Path == "/events":
			p.say("HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream;a=b\r\nTransfer-Encoding: chunked\r\n\r\n")
			_, _ = io.Copy(io.Discard, p.in)
			close(ended)
		default:
			p.say(okReply)
		}
	})
	s := start(t, addr, setup{proxy: proxy.Config{MaxStreams: 1, MaxInFlight: 1}})
	tunnel := s.dial(request("GET /ws", "", webSocket))
	wantStatus(t, tunnel.reply("GET"), http.StatusSwitchingProtocols)
	for _, text := range []string{
		request("GET /ws", "", webSocket),
		request("POST /", "", "Content-Type: application/grpc"),
		request("GET /events", ""),
	} {
		wantReply(t, s.dial(text).reply("GET"), http.StatusServiceUnavailable,
			"overloaded", "Too many requests in flight")
	}
	within(t, ended, "giving up the events")
	wantStatus(t, s.dial(request("GET /", "")).reply("GET"), http.StatusOK) // no stream
	_ = tunnel.Close()
	wantPlaces(t, s)
	again := s.dial(request("GET /ws", "", webSocket))
	wantStatus(t, again.reply("GET"), http.StatusSwitchingProtocols)
	_ = again.Close()
	for _, r := range s.records() {
		if r.Path == "/events" && r.Phase == audit.Completed {
			wantOutcome(t, r, audit.Rejected, "overloaded", 503, 200)
		}
	}
}

// An event stream makes room for an ordinary request.
func TestEventStreamsTakeNoOrdinaryPlace(t *testing.T) {
	t.Parallel()
	s := start(t, httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}), setup{proxy: proxy.Config{MaxInFlight: 1}})
	events := s.dial(request("GET /events", ""))
	wantStatus(t, events.reply("GET"), http.StatusOK)
	wantStatus(t, s.dial(request("GET /", "")).reply("GET"), http.StatusOK)
	if n := s.handler.Streams(); n != 1 {
		t.Errorf("got %d streams, want 1", n)
	}
	_ = events.Close()
	wantPlaces(t, s)
}
