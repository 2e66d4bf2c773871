package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"tollbook/audit"
)

// smuggled is what a client may hide in a body.
func smuggled() string { return request("GET /smuggled", "") }

// uploads are the beginnings of large bodies, made of requests.
func uploads() map[string]struct{ header, sent string } {
	content := strings.Repeat(smuggled(), 400<<10/len(smuggled()))
	return map[string]struct{ header, sent string }{
		"length":  {"Content-Length: 100000000", content},
		"chunked": {"Transfer-Encoding: chunked", fmt.Sprintf("%x\r\n%s", 100_000_000, content)},
		// What follows is a request to whoever forgets that a chunk has to end.
		"chunk ends": {
			"Transfer-Encoding: chunked",
			fmt.Sprintf("%x\r\n%s\r\n", len(content), content),
		},
	}
}

// wantNoMore goes on sending requests and checks that none is answered.
func wantNoMore(t *testing.T, p *peer) {
	t.Helper()
	for range 3 {
		_, _ = io.WriteString(p.TCPConn, smuggled())
	}
	if rest, _ := io.ReadAll(p.in); len(rest) > 0 { // a reset is fine
		t.Errorf("got %.100q after the reply, want nothing", rest)
	}
}

// An upstream that answers before it has the whole body must not make what the
// client still sends a request, on either side.
func TestEarlyRepliesSmuggleNothing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 16<<10)
	for replyName, reply := range map[string]struct {
		head, body string
		status     int
	}{
		"short": {"HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\n", "too much", 413},
		"empty": {"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", "", 413},
		"long":  {fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(long)), long, 200},
		"chunked": {
			fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", len(long)), long, 200,
		},
	} {
		for uploadName, upload := range uploads() {
			t.Run(replyName+" reply, "+uploadName, func(t *testing.T) {
				t.Parallel()
				heads := make(chan string, 9)
				addr := scripted(t, func(p *peer, r *http.Request) {
					heads <- r.URL.Path
					p.say(reply.head + reply.body)
					if replyName == "chunked" {
						p.say("\r\n0\r\n\r\n")
					}
					_, _ = io.Copy(io.Discard, p.in) // whatever else comes on this connection
				})
				s := start(t, addr, setup{})
				p := s.dial(request("POST /early", "", upload.header))
				sent := make(chan struct{})
				go func() { // as long as the connection takes it
					_, _ = io.WriteString(p.TCPConn, upload.sent)
					close(sent)
				}()
				res := p.reply("POST")
				wantStatus(t, res, reply.status)
				if got := readAll(t, res.Body); got != reply.body {
					t.Errorf("got %d bytes, want the whole reply of %d", len(got), len(reply.body))
				}
				if !res.Close {
					t.Error("got a reply that keeps the connection, want Connection: close")
				}
				within(t, sent, "sending")
				wantNoMore(t, p)
				r := s.only(audit.Completed)
				wantOutcome(t, r, audit.OK, "", int64(reply.status), int64(reply.status))
				if r.Req.Complete {
					t.Error("got a complete request body, want an incomplete one")
				}
				if first := <-heads; first != "/early" || len(heads) > 0 {
					t.Errorf("got %q and %d more requests upstream, want /early alone", first, len(heads))
				}
			})
		}
	}
}

// An upstream may answer what it has while the rest is being sent.
func TestRepliesFlowWhileTheRequestDoes(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(testing.TB, http.HandlerFunc) string{
		"HTTP/1": upstreams["http"],
		"HTTP/2": upstreams["h2c"],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				control := http.NewResponseController(w)
				_ = control.EnableFullDuplex() // HTTP/2 has it always
				_ = control.Flush()
				buf := make([]byte, 100)
				for {
					n, err := r.Body.Read(buf)
					_, _ = w.Write(buf[:n])
					_ = control.Flush()
					if err != nil {
						return
					}
				}
			}), setup{})
			p := s.dial(request("POST /echo", "", "Transfer-Encoding: chunked"))
			p.say("1\r\na\r\n")
			res := p.reply("POST")
			for _, letter := range []string{"a", "b", "c"} {
				if letter != "a" {
					p.say("1\r\n" + letter + "\r\n")
				}
				var heard [1]byte
				if _, err := io.ReadFull(res.Body, heard[:]); err != nil || string(heard[:]) != letter {
					t.Fatalf("got %q, %v, want %q before more is sent", heard, err, letter)
				}
			}
			p.say("0\r\n\r\n")
			if rest := readAll(t, res.Body); rest != "" || !res.Close {
				t.Errorf("got %q and close %t, want the end, and of the connection", rest, res.Close)
			}
			r := s.only(audit.Completed)
			wantBody(t, "request", r.Req, "abc", true)
			wantBody(t, "reply", r.Res, "abc", true)
		})
	}
}

func TestOurOwnEarlyRepliesSmuggleNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status    int
		broken    bool
		something func(line, body string, header ...string) string
	}{
		"401": {401, false, plain}, "503": {503, true, request},
	} {
		for uploadName, upload := range uploads() {
			t.Run(name+", "+uploadName, func(t *testing.T) {
				t.Parallel()
				rec := record(t, okReply)
				s := start(t, rec.addr, setup{})
				if test.broken {
					s.breakTrail()
				}
				p := s.dial(test.something("POST /early", "", upload.header))
				sent := make(chan struct{})
				go func() {
					_, _ = io.WriteString(p.TCPConn, upload.sent)
					close(sent)
				}()
				res := p.reply("POST")
				wantStatus(t, res, test.status)
				readAll(t, res.Body)
				within(t, sent, "sending")
				wantNoMore(t, p)
				if n := rec.hits(); n != 0 {
					t.Errorf("got %d requests upstream, want none", n)
				}
			})
		}
	}
}

func TestRefusedClientsThatStallAreAnswered(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"Content-Length: 5", "Transfer-Encoding: chunked"} {
		s := start(t, record(t, okReply).addr, setup{})
		p := s.dial(plain("POST /", "", framing))
		wantReply(t, p.reply("POST"), http.StatusUnauthorized, "token_missing", "Not authenticated")
		if rest := p.everything(); rest != "" {
			t.Errorf("got %q after the reply, want the end of the connection", rest)
		}
	}
}

// A refused request whose short body is whole leaves the connection usable, and
// the body is no request.
func TestBodiesOfRefusedRequestsAreNotRequests(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	body := smuggled()
	p := s.dial(plain("POST /", body, fmt.Sprintf("Content-Length: %d", len(body))) + request("GET /next", ""))
	for _, want := range []int{http.StatusUnauthorized, http.StatusOK} {
		res := p.reply("POST")
		wantStatus(t, res, want)
		readAll(t, res.Body)
	}
	if got := rec.one(t); !strings.HasPrefix(got, "GET /next ") {
		t.Errorf("got %.60q upstream, want /next", got)
	}
}
