package proxy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tollbook/audit"
)

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func wantBody(t *testing.T, what string, got *audit.Body, content string, complete bool) {
	t.Helper()
	if got == nil {
		t.Errorf("got no %s body in the record", what)
		return
	}
	if got.Bytes != int64(len(content)) || got.SHA256.String() != sha256Hex(content) ||
		got.Complete != complete {
		t.Errorf("got %s body of %d bytes, complete %t, want %d bytes, complete %t, and their hash",
			what, got.Bytes, got.Complete, len(content), complete)
	}
}

func wantOutcome(t *testing.T, r *audit.Record, outcome audit.Outcome, reason string, status, upstream int64) {
	t.Helper()
	if r.Outcome != outcome || r.Reason != reason || r.HTTPStatus != status || r.UpstreamStatus != upstream {
		t.Errorf("got outcome %s, reason %q, http_status %d, upstream_status %d, want %s, %q, %d, %d",
			r.Outcome, r.Reason, r.HTTPStatus, r.UpstreamStatus, outcome, reason, status, upstream)
	}
	if r.DurationUS <= 0 {
		t.Errorf("got duration %d µs, want more", r.DurationUS)
	}
}

func TestBothBodiesAreDigested(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 40<<10)
	for name, body := range map[string]string{"empty": "", "byte": "x", "long": long} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, chunked %t", name, chunked), func(t *testing.T) {
				t.Parallel()
				s := start(t, httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
					content, err := io.ReadAll(r.Body)
					if err != nil || string(content) != body {
						t.Errorf("got %d bytes upstream and error %v, want %d", len(content), err, len(body))
					}
					_, _ = io.Copy(w, bytes.NewReader(content))
					_, _ = io.WriteString(w, "!")
				}), setup{})
				var reader io.Reader = strings.NewReader(body)
				if chunked {
					reader = io.MultiReader(reader) // of a length that the client does not know
				}
				res := s.do("PUT", "/", reader)
				if got := readAll(t, res.Body); got != body+"!" {
					t.Errorf("got %d bytes back, want %d", len(got), len(body)+1)
				}
				r := s.only(audit.Completed)
				wantOutcome(t, r, audit.OK, "", 200, 200)
				wantBody(t, "request", r.Req, body, true)
				wantBody(t, "reply", r.Res, body+"!", true)
			})
		}
	}
}

func TestRequestsWithoutBodyAreComplete(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, setup{})
	s.do("GET", "/", nil)
	r := s.only(audit.Completed)
	wantBody(t, "request", r.Req, "", true)
	if got := onlyOf(t, s.onDisk(), audit.Received); got.Req != nil {
		t.Errorf("got a request body %+v in received, want none: it is not known yet", got.Req)
	}
}

func TestClientsThatLeaveWhileSendingAreRecorded(t *testing.T) {
	t.Parallel()
	for name, framing := range map[string]struct{ header, sent string }{
		"length":  {"Content-Length: 1000", "hello"},
		"chunked": {"Transfer-Encoding: chunked", "5\r\nhello\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			came, cut := make(chan struct{}), make(chan error, 1)
			s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadFull(r.Body, make([]byte, 5))
				close(came)
				_, err := io.ReadAll(r.Body)
				cut <- err
			}), setup{})
			p := s.dial(request("POST /", framing.sent, framing.header))
			within(t, came, "the part that was sent")
			_ = p.Close()
			if err := <-cut; err == nil {
				t.Error("got a complete body upstream, want an error")
			}
			r := s.only(audit.Completed)
			wantOutcome(t, r, audit.ClientAborted, "", 0, 0)
			wantBody(t, "request", r.Req, "hello", false)
		})
	}
}

func TestClientsThatLeaveWhileReadingAreRecorded(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	s := start(t, httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		block := bytes.Repeat([]byte("x"), 1<<16)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				break
			}
		}
		close(gone)
	}), setup{})
	p := s.dial(request("GET /", ""))
	res := p.reply("GET")
	_, _ = io.ReadFull(res.Body, make([]byte, 100_000))
	_ = p.Close()
	within(t, gone, "the upstream to be told")
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.ClientAborted, "", 200, 200)
	if r.Res.Complete || r.Res.Bytes < 100_000 {
		t.Errorf("got reply body %+v, want some of it, incomplete", r.Res)
	}
}

func TestClientsThatLeaveWhileWaitingAreRecorded(t *testing.T) {
	t.Parallel()
	came := make(chan struct{})
	s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		close(came)
		<-r.Context().Done()
	}), setup{})
	p := s.dial(request("GET /", ""))
	within(t, came, "the request")
	_ = p.Close()
	wantOutcome(t, s.only(audit.Completed), audit.ClientAborted, "", 0, 0)
}

func TestBrokenRepliesAreToldAsTheyAre(t *testing.T) {
	t.Parallel()
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	long := strings.Repeat("x", 100_000)
	for name, test := range map[string]struct {
		reply, got string // got: what of the reply's body counts
		status     int64  // of the upstream, 0 if it is not known
		cut        bool   // the client has the head already
	}{
		"nothing":     {"", "", 0, false},
		"garbage":     {"garbage\r\n\r\n", "", 0, false},
		"half a head": {"HTTP/1.1 200 OK\r\nContent-Le", "", 0, false},
		"bad header":  {"HTTP/1.1 200 OK\r\nbad\r\n\r\n", "", 0, false},
		"bad length":  {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "", 0, false},
		"two lengths": {
			"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "", 0, false,
		},
		"short of a short": {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "hello", 200, false},
		"short of a long":  {"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + long, long, 200, true},
		"chunks end":       {chunked + "5\r\nhello\r\n", "hello", 200, true},
		"bad chunk":        {chunked + "5\r\nhello\r\nzz\r\n", "hello", 200, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, replyOnce(t, test.reply, nil), setup{})
			p := s.dial(request("POST /", "body", "Content-Length: 4"))
			want := int64(502)
			if test.cut {
				wantCut(t, p, len(test.got)+1)
				want = 200
			} else {
				wantReply(t, p.reply("POST"), 502, "upstream_unreachable", "Upstream unreachable")
			}
			r := s.only(audit.Completed)
			wantOutcome(t, r, audit.UpstreamError, "upstream_unreachable", want, test.status)
			if test.status != 0 {
				wantBody(t, "reply", r.Res, test.got, false)
			} else if r.Res != nil {
				t.Errorf("got reply body %+v, want none", r.Res)
			}
		})
	}
}

func TestUnreachableUpstreamsGetNothing(t *testing.T) {
	t.Parallel()
	l := listen(t)
	addr := l.Addr().String()
	_ = l.Close()
	s := start(t, addr, setup{})
	res := s.do("POST", "/", strings.NewReader("hello"))
	wantReply(t, res, http.StatusBadGateway, "upstream_unreachable", "Upstream unreachable")
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.NotForwarded, "upstream_unreachable", 502, 0)
	wantBody(t, "request", r.Req, "", false)
}

// An upstream that closed a kept connection on a request has had the request,
// whatever comes of trying again.
func TestRequestsLostOnAKeptConnectionWereForwarded(t *testing.T) {
	t.Parallel()
	l := listen(t)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		p := newPeer(t, c)
		if _, err := http.ReadRequest(p.in); err == nil {
			p.say(okReply)
		}
		_, _ = http.ReadRequest(p.in)
		_ = l.Close()
	}()
	s := start(t, l.Addr().String(), setup{})
	readAll(t, s.do("GET", "/1", nil).Body)
	wantStatus(t, s.do("GET", "/2", nil), http.StatusBadGateway)
	for _, r := range s.records() {
		if r.Phase == audit.Completed && r.Path == "/2" {
			wantOutcome(t, r, audit.UpstreamError, "upstream_unreachable", 502, 0)
		}
	}
}

func TestSlowUpstreamsTimeOut(t *testing.T) {
	t.Parallel()
	s := start(t, scripted(t, func(p *peer, _ *http.Request) {
		_, _ = io.Copy(io.Discard, p.in) // until the proxy gives up
	}), setup{timeout: 50 * time.Millisecond})
	res := s.do("POST", "/", strings.NewReader("hello"))
	wantReply(t, res, http.StatusGatewayTimeout, "upstream_timeout", "Upstream timed out")
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.Timeout, "upstream_timeout", 504, 0)
	wantBody(t, "request", r.Req, "hello", true)
}

func TestMalformedBodiesAreRejected(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"size":    "zz\r\n",
		"no end":  "3\r\nabcX\r\n",
		"trailer": "0\r\nbad trailer\r\n\r\n",
		"huge":    "fffffffffffffffff\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				ended <- err
			}), setup{})
			p := s.dial(request("POST /", "5\r\nhello\r\n"+rest+plain("GET /smuggled", ""),
				"Transfer-Encoding: chunked"))
			res := p.reply("POST")
			wantReply(t, res, http.StatusBadRequest, "body_malformed", "The request body is malformed")
			if rest := p.everything(); rest != "" {
				t.Errorf("got %q after the reply, want the end of the connection", rest)
			}
			if err := <-ended; err == nil {
				t.Error("got a complete body upstream, want an error")
			}
			r := s.only(audit.Completed)
			wantOutcome(t, r, audit.Rejected, "body_malformed", 400, 0)
			if r.Req.Complete {
				t.Error("got a complete request body, want an incomplete one")
			}
		})
	}
}

// A stuckBody is a reply's body that fails where its end should be, as that of an
// HTTP/2 upstream may that resets the stream behind the last byte.
func stuckBody(content string) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(content),
		iotest.ErrReader(errors.New("stream reset"))))
}

// A tripper is a transport that answers by itself.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRepliesThatFailAtTheirEndAreNeverWhole(t *testing.T) {
	t.Parallel()
	for _, size := range []int{5, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			content := strings.Repeat("x", size)
			answer := func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r,
					Header:        http.Header{"Content-Length": {fmt.Sprint(size)}},
					ContentLength: int64(size), Body: stuckBody(content),
				}, nil
			}
			s := start(t, "127.0.0.1:1", setup{transport: tripper(answer)})
			p := s.dial(request("GET /", ""))
			if size > 64<<10 {
				wantCut(t, p, size)
			} else {
				wantReply(t, p.reply("GET"), 502, "upstream_unreachable", "Upstream unreachable")
			}
			r := s.only(audit.Completed)
			if r.Outcome != audit.UpstreamError || r.Res.Complete {
				t.Errorf("got %s, complete %t, want upstream_error and not complete", r.Outcome, r.Res.Complete)
			}
		})
	}
}

// lateReader is a reply that, once its head has left, looks for more of the
// request's body, as a transport does behind its last byte.
type lateReader struct {
	request io.Reader
	rest    chan error
	begun   bool
}

func (l *lateReader) Read(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		return copy(p, "hello"), nil
	}
	_, err := io.ReadAll(l.request)
	l.rest <- err
	return 0, io.EOF
}

// net/http closes a request's body when the head of the reply leaves. A transport
// that fails to read it then cuts the reply.
func TestWholeBodiesStayWholeWhenTheReplyBegins(t *testing.T) {
	t.Parallel()
	rest := make(chan error, 1)
	answer := func(r *http.Request) (*http.Response, error) {
		if _, err := io.ReadFull(r.Body, make([]byte, r.ContentLength)); err != nil {
			return nil, err
		}
		return &http.Response{
			StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: http.Header{},
			ContentLength: -1, Body: io.NopCloser(&lateReader{request: r.Body, rest: rest}),
		}, nil
	}
	s := start(t, "127.0.0.1:1", setup{transport: tripper(answer)})
	res := s.do("PUT", "/", strings.NewReader("a body"))
	if got := readAll(t, res.Body); got != "hello" {
		t.Errorf("got %q, want hello", got)
	}
	if err := <-rest; err != nil {
		t.Errorf("got error %v behind the last byte, want the end", err)
	}
	wantBody(t, "request", s.only(audit.Completed).Req, "a body", true)
}

// A bug of ours must not look like something that the client did.
func TestPanicsAreRecordedAsOurs(t *testing.T) {
	t.Parallel()
	s := start(t, "127.0.0.1:1", setup{transport: tripper(func(*http.Request) (*http.Response, error) {
		panic("a bug")
	})})
	if got := s.dial(request("GET /", "")).everything(); got != "" {
		t.Errorf("got %q, want the end of the connection", got)
	}
	wantOutcome(t, s.only(audit.Completed), audit.Rejected, "internal_error", 0, 0)
}

func TestUnixSocketsAreUpstreams(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/api.sock"
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	server := &http.Server{
		ReadHeaderTimeout: patience,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprint(w, r.Host, " ", r.Header.Get("X-User-ID")) //nolint:gosec // read by the test
		}),
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	s := start(t, "unix://"+path, setup{})
	res := s.dial(request("GET /", "")).reply("GET")
	if got := readAll(t, res.Body); got != "api.example "+userA {
		t.Errorf("got %q, want the client's host and the user", got)
	}
}
