package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tollbook/audit"
)

// An upstream that breaks off, and a client that leaves, over HTTP/2.
func TestHTTP2StreamsThatBreakOffAreRecorded(t *testing.T) {
	t.Parallel()
	for _, d := range []dialect{dialects[2], dialects[3]} {
		for upstreamName, serve := range upstreams {
			t.Run(d.name+" to "+upstreamName, func(t *testing.T) {
				t.Parallel()
				read, heard := make(chan struct{}, 1), make(chan struct{})
				s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.ReadFull(r.Body, make([]byte, 5))
					switch r.URL.Path {
					case "/reset":
						_, _ = io.WriteString(w, "hello")
						_ = http.NewResponseController(w).Flush()
						<-heard
						panic(http.ErrAbortHandler)
					case "/download":
						_, _ = io.WriteString(w, "hello")
						_ = http.NewResponseController(w).Flush()
					}
					read <- struct{}{}
					_, _ = io.Copy(io.Discard, r.Body)
					<-r.Context().Done()
				}), d.setup(t, setup{}))
				client, hangUp := hangingUp(d.client(s))
				ask := func(ctx context.Context, path string) (answer, error) {
					r := d.request(s, "POST", path).WithContext(ctx)
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader("hello")), -1
					if path == "/upload" {
						in, out := io.Pipe()
						go func() { _, _ = io.WriteString(out, "hello") }()
						t.Cleanup(func() { _ = out.Close() })
						r.Body = in
					}
					res, err := client.Do(r)
					if err == nil {
						t.Cleanup(func() { _ = res.Body.Close() })
					}
					return answer{res}, err
				}
				res, err := ask(t.Context(), "/reset")
				if err != nil {
					t.Fatalf("POST: %v", err)
				}
				_, _ = io.ReadFull(res.Body, make([]byte, 5))
				close(heard)
				if got, err := io.ReadAll(res.Body); err == nil {
					t.Errorf("got %q and the end, want a cut reply", got)
				}
				ctx, leave := context.WithCancel(t.Context())
				if res, err = ask(ctx, "/download"); err != nil {
					t.Fatalf("POST: %v", err)
				}
				_, _ = io.ReadFull(res.Body, make([]byte, 5))
				<-read
				leave()
				ctx, leave = context.WithCancel(t.Context())
				gone := make(chan struct{})
				go func() { defer close(gone); _, _ = ask(ctx, "/upload") }()
				<-read
				leave()
				within(t, gone, "leaving")
				ctx, leave = context.WithTimeout(t.Context(), patience)
				defer leave()
				gone = make(chan struct{})
				go func() { defer close(gone); _, _ = ask(ctx, "/upload") }()
				<-read
				hangUp()
				within(t, gone, "hanging up")
				wantBrokenOff(t, s.records())
			})
		}
	}
}

func wantBrokenOff(t *testing.T, records []*audit.Record) {
	t.Helper()
	n := 0
	for _, r := range records {
		if r.Phase != audit.Completed {
			continue
		}
		n++
		wantBody(t, r.Path+" request", r.Req, "hello", r.Path != "/upload")
		switch r.Path {
		case "/reset":
			wantOutcome(t, r, audit.UpstreamError, "upstream_unreachable", 200, 200)
			wantBody(t, "reply", r.Res, "hello", false)
		case "/download":
			wantOutcome(t, r, audit.ClientAborted, "", 200, 200)
			wantBody(t, "reply", r.Res, "hello", false)
		default:
			wantOutcome(t, r, audit.ClientAborted, "", 0, 0)
		}
	}
	if n != 4 {
		t.Errorf("got %d completed records, want 4", n)
	}
}

// hangingUp has the client close its connection when it is told to.
func hangingUp(client *http.Client) (same *http.Client, hangUp func()) {
	own := client.Transport.(*http.Transport) //nolint:forcetypeassert // ours
	var mu sync.Mutex
	var last net.Conn
	own.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		mu.Lock()
		defer mu.Unlock()
		last = c
		return c, err
	}
	return client, func() {
		mu.Lock()
		defer mu.Unlock()
		_ = last.Close()
	}
}

// A length that the body does not have is the client's lie, not its leaving.
func TestHTTP2BodiesOfAnotherLengthAreMalformed(t *testing.T) {
	t.Parallel()
	for name, body := range map[string][]frame{
		"longer":  {{kind: frameData, stream: 1, payload: []byte("hello world")}},
		"shorter": {{kind: frameData, stream: 1, flags: flagEndStream, payload: []byte("he")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, ended := make(chan struct{}), make(chan error, 1)
			s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
				close(begun)
				_, err := io.ReadAll(r.Body)
				ended <- err
			}), setup{})
			c := s.dialHTTP2(1 << 16)
			f := headers(1, "/", "content-length", "5")
			f.flags = flagEndHeaders
			c.write(f)
			within(t, begun, "the request")
			c.write(body...)
			if err := <-ended; err == nil {
				t.Error("got a complete body upstream, want an error")
			}
			_ = c.Close()
			if r := s.only(audit.Completed); r.Outcome != audit.Rejected || r.Reason != "body_malformed" {
				t.Errorf("got %s %s, want rejected and body_malformed", r.Outcome, r.Reason)
			}
		})
	}
}
