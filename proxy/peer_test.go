package proxy_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A peer is one side of a raw connection.
type peer struct {
	*net.TCPConn
	t  testing.TB
	in *bufio.Reader
}

func newPeer(t testing.TB, c net.Conn) *peer {
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return &peer{TCPConn: c.(*net.TCPConn), t: t, in: bufio.NewReader(c)} //nolint:forcetypeassert // tcp
}

// dial opens a raw connection to the sidecar and says text.
func (s *sidecar) dial(text string) *peer {
	s.t.Helper()
	c, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", s.addr)
	if err != nil {
		s.t.Fatalf("dialling: %v", err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	p := newPeer(s.t, c)
	p.say(text)
	return p
}

func (p *peer) say(text string) {
	if _, err := io.WriteString(p.TCPConn, text); err != nil {
		p.t.Errorf("writing %.40q: %v", text, err)
	}
}

// reply reads the head of a reply to a request with this method.
func (p *peer) reply(method string) answer {
	p.t.Helper()
	res, err := http.ReadResponse(p.in, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("reading a reply: %v", err)
	}
	p.t.Cleanup(func() { _ = res.Body.Close() })
	return answer{res}
}

// everything reads to the end of the connection.
func (p *peer) everything() string {
	p.t.Helper()
	content, err := io.ReadAll(p.in)
	if err != nil {
		p.t.Fatalf("reading to the end: %v after %q", err, content)
	}
	return string(content)
}

// request writes a request of user A for Host api.example.
func request(line, body string, header ...string) string {
	return plain(line, body, append(header, authorization())...)
}

// plain writes a request without a token.
func plain(line, body string, header ...string) string {
	head := append([]string{line + " HTTP/1.1", "Host: api.example"}, header...)
	return strings.Join(head, "\r\n") + "\r\n\r\n" + body
}

// A recorder is an upstream that keeps the bytes of each request and answers
// with the bytes that it was given.
type recorder struct {
	addr string

	mu       sync.Mutex
	requests []string
	partial  strings.Builder // of the requests that were not read to their end
}

// record starts a recorder.
func record(t testing.TB, reply string) *recorder {
	t.Helper()
	rec := &recorder{}
	rec.addr = upstream(t, func(p *peer) {
		var seen bytes.Buffer
		p.in = bufio.NewReader(io.TeeReader(p.TCPConn, &seen))
		for {
			r, err := http.ReadRequest(p.in)
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
			rec.keep(seen.String(), err)
			if err != nil {
				return
			}
			seen.Reset()
			p.say(reply)
		}
	})
	return rec
}

func (rec *recorder) keep(text string, err error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if err != nil {
		rec.partial.WriteString(text)
		return
	}
	rec.requests = append(rec.requests, text)
}

// hits returns how many requests came, whole or not.
func (rec *recorder) hits() int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.partial.Len() > 0 {
		return len(rec.requests) + 1
	}
	return len(rec.requests)
}

// one returns the only request.
func (rec *recorder) one(t testing.TB) string {
	t.Helper()
	if n := rec.hits(); n != 1 {
		t.Fatalf("got %d requests upstream, want 1", n)
	}
	return rec.all()
}

// all returns the bytes of every request, whole or not.
func (rec *recorder) all() string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.partial.String() + strings.Join(rec.requests, "")
}

// upstream serves each connection with serve, and closes it then.
func upstream(t testing.TB, serve func(*peer)) (addr string) {
	t.Helper()
	l := listen(t)
	var running sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				serve(newPeer(t, c))
			})
		}
	})
	return l.Addr().String()
}

// scripted is an upstream that reads each request's head and goes on with serve.
func scripted(t testing.TB, serve func(p *peer, r *http.Request)) (addr string) {
	t.Helper()
	return upstream(t, func(p *peer) {
		for {
			r, err := http.ReadRequest(p.in)
			if err != nil {
				return
			}
			serve(p, r)
		}
	})
}

// httpUpstream is a server with a handler.
func httpUpstream(t testing.TB, h http.HandlerFunc) (addr string) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// within fails the test if done is not closed in time.
func within(t testing.TB, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: not in %s", what, patience)
	}
}

// headerOf returns the values of a header in raw request bytes, in any case.
func headerOf(raw, name string) (values []string) {
	head, _, _ := strings.Cut(raw, "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n")[1:] {
		if n, v, _ := strings.Cut(line, ":"); strings.EqualFold(n, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

func wantStatus(t testing.TB, res answer, want int) {
	t.Helper()
	if res.Response == nil {
		t.Fatal("got no reply") // who asked has said why
	}
	if res.StatusCode != want {
		t.Errorf("got status %d, want %d", res.StatusCode, want)
	}
}
