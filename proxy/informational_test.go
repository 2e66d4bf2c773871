package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"tollbook/audit"
)

// hints is an upstream that thinks aloud.
func hints(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusProcessing)
	w.Header().Set("Link", "</style.css>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Set("Link", "</style.css>; rel=preload, </more.css>; rel=preload")
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Del("Link")
	_, _ = io.WriteString(w, "ok")
}

func TestInformationalRepliesReachClientsThatKnowThem(t *testing.T) {
	t.Parallel()
	want := []string{
		"102 ", "103 </style.css>; rel=preload", "103 </style.css>; rel=preload, </more.css>; rel=preload",
	}
	for _, d := range dialects {
		for name, serve := range upstreams {
			t.Run(d.name+" to "+name, func(t *testing.T) {
				t.Parallel()
				s := start(t, serve(t, hints), d.setup(t, setup{}))
				var got []string
				trace := &httptrace.ClientTrace{
					Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
						got = append(got, fmt.Sprint(code, " ", header.Get("Link")))
						return nil
					},
				}
				r := d.request(s, "GET", "/")
				r = r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
				res, err := d.client(s).Do(r)
				if err != nil {
					t.Fatalf("GET: %v", err)
				}
				defer res.Body.Close()
				if body := readAll(t, res.Body); body != "ok" || res.Header.Get("Link") != "" ||
					res.Header.Get("X-Request-Id") == "" || !slices.Equal(got, want) {
					t.Errorf("got %q, header %v and informational %q, want %q", body, res.Header, got, want)
				}
				wantOutcome(t, s.only(audit.Completed), audit.OK, "", 200, 200)
			})
		}
	}
}

// To a client of HTTP/1.0 the first head is that of the reply.
func TestOldClientsGetNoInformationalReplies(t *testing.T) {
	t.Parallel()
	for name, serve := range upstreams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, serve(t, hints), dialects[0].setup(t, setup{}))
			p := s.dial("GET / HTTP/1.0\r\n" + authorization() + "\r\n\r\n")
			if got := p.everything(); strings.Count(got, "HTTP/1.") != 1 || !strings.HasSuffix(got, "ok") {
				t.Errorf("got %q, want the reply alone", got)
			}
		})
	}
}

// A refused request over HTTP/2 is not asked for its body either.
func TestRefusedExpectationsAskForNoBodyOnHTTP2(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		rec := record(t, okReply)
		s := start(t, rec.addr, d.setup(t, setup{}))
		r := d.request(s, "POST", "/", "Expect: 100-continue")
		r.Header.Del("Authorization")
		r.Body, r.ContentLength = io.NopCloser(fill(1<<30)), 1<<30
		asked := false
		r = r.WithContext(httptrace.WithClientTrace(r.Context(),
			&httptrace.ClientTrace{Got100Continue: func() { asked = true }}))
		client := d.client(s)
		client.Transport.(*http.Transport).ExpectContinueTimeout = patience //nolint:forcetypeassert // ours
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("POST: %v", err)
		}
		wantReply(t, answer{res}, http.StatusUnauthorized, "token_missing", "Not authenticated")
		_ = res.Body.Close()
		if asked || rec.hits() != 0 {
			t.Errorf("%s: got 100 Continue %t and %d requests upstream, want none", d.name, asked, rec.hits())
		}
	}
}

// An early reply ends its stream, and not the connection of the others.
func TestEarlyRepliesKeepHTTP2Connections(t *testing.T) {
	t.Parallel()
	for name, serve := range upstreams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := dialects[2]
			s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.ContentLength > 0 {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
				}
				_, _ = io.WriteString(w, "early")
			}), d.setup(t, setup{}))
			client := d.client(s)
			var fresh int
			for i := range 3 {
				r := d.request(s, "POST", "/")
				r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
					GotConn: func(c httptrace.GotConnInfo) {
						if !c.Reused {
							fresh++
						}
					},
				}))
				if i < 2 {
					in, out := io.Pipe() // of which nothing comes
					t.Cleanup(func() { _ = out.Close() })
					r.Body, r.ContentLength = in, 1<<20
				}
				res, err := client.Do(r)
				if err != nil {
					t.Fatalf("POST: %v", err)
				}
				if got := readAll(t, res.Body); got != "early" {
					t.Errorf("got %d %q, want early", res.StatusCode, got)
				}
				_ = res.Body.Close()
			}
			if fresh != 1 {
				t.Errorf("got %d connections, want 1", fresh)
			}
			for _, r := range s.records() {
				if r.Phase == audit.Completed && r.Outcome != audit.OK {
					t.Errorf("got %s %s, want ok", r.Outcome, r.Reason)
				}
			}
		})
	}
}

func TestInformationalRepliesHaveABound(t *testing.T) {
	t.Parallel()
	const hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
	s := start(t, scripted(t, func(p *peer, _ *http.Request) {
		for { // until the proxy has had enough
			if _, err := p.Write([]byte(strings.Repeat(hint, 10))); err != nil {
				return
			}
		}
	}), setup{})
	p := s.dial(request("GET /", ""))
	got := 0
	res := p.reply("GET")
	for res.StatusCode == http.StatusEarlyHints {
		got++
		res = p.reply("GET")
	}
	wantReply(t, res, http.StatusBadGateway, "upstream_unreachable", "Upstream unreachable")
	if got == 0 || got > 200 {
		t.Errorf("got %d hints, want some, and 200 at most", got)
	}
	wantOutcome(t, s.only(audit.Completed), audit.UpstreamError, "upstream_unreachable", 502, 0)
}
