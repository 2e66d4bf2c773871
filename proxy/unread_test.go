package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// carelessUpstream answers requests without a look at their content, which it then
// takes for the next request, unless it was told to close the connection.
func carelessUpstream(t *testing.T, seen chan<- string) (addr string) {
	t.Helper()
	return upstream(t, func(p *peer) {
		p.in = bufio.NewReader(p.TCPConn)
		for {
			r, err := http.ReadRequest(p.in)
			if err != nil {
				return
			}
			seen <- r.URL.Path + " " + strings.Join(r.Header["X-User-Id"], ",")
			p.say(okReply)
			if r.Close {
				_, _ = io.Copy(io.Discard, p.in)
				return
			}
		}
	})
}

// An upstream that ignores content where it expects none must not take it for a
// request of whoever it says.
func TestContentThatNobodyReadsIsNoRequest(t *testing.T) {
	t.Parallel()
	const hidden = "GET /stolen HTTP/1.1\r\nHost: api.example\r\nX-User-ID: user_B\r\n\r\n"
	length := fmt.Sprintf("Content-Length: %d", len(hidden))
	for name, test := range map[string]struct{ text, want string }{
		"GET":    {request("GET /jobs", hidden, length), "/jobs user_A"},
		"DELETE": {request("DELETE /jobs", hidden, length), "/jobs user_A"},
		"public": {plain("POST /hooks/1", hidden, length), "/hooks/1 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan string, 9)
			s := start(t, carelessUpstream(t, seen), public())
			for range 2 {
				wantStatus(t, s.dial(test.text).reply("GET"), http.StatusOK)
				if got := <-seen; got != test.want {
					t.Errorf("got %q upstream, want %q", got, test.want)
				}
			}
			if err := s.close(); err != nil {
				t.Fatalf("closing: %v", err)
			}
			if len(seen) > 0 {
				t.Errorf("got %q upstream too", <-seen)
			}
		})
	}
}

// A public GET has no content.
func TestPublicRequestsWithUnexpectedContentNeedAToken(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, public())
	for _, text := range []string{
		plain("GET /health", "abc", "Content-Length: 3"),
		plain("HEAD /health", "abc", "Content-Length: 3"),
		plain("GET /health", "3\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
	} {
		method, _, _ := strings.Cut(text, " ")
		wantStatus(t, s.dial(text).reply(method), http.StatusUnauthorized)
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}
