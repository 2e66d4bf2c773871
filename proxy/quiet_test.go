package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tollbook/audit"
)

func TestQuietStreamsDoNotStall(t *testing.T) {
	t.Parallel()
	for at, d := range dialects {
		for name, contentType := range map[string]string{
			"events": "text/event-stream", "gRPC": "application/grpc", "unknown length": "text/plain",
		} {
			if d.http2 != (name == "gRPC") && at%2 == 0 {
				continue // enough of each
			}
			t.Run(d.name+" "+name, func(t *testing.T) {
				t.Parallel()
				s := start(t, h2cUpstream(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", contentType)
					for range 2 {
						_, _ = io.WriteString(w, "x")
						_ = http.NewResponseController(w).Flush()
						time.Sleep(quiet)
					}
					_, _ = io.Copy(w, r.Body)
				}), d.setup(t, stalling(stallLater)))
				if name != "gRPC" {
					res, err := d.client(s).Do(d.request(s, "GET", "/"))
					if err != nil {
						t.Fatalf("GET: %v", err)
					}
					defer res.Body.Close()
					if got := readAll(t, res.Body); got != "xx" {
						t.Errorf("got %q, want xx", got)
					}
					return
				}
				body, replies := d.post(s, -1, "Content-Type: application/grpc+proto")
				res := <-replies
				time.Sleep(quiet) // the call is open both ways
				_, _ = io.WriteString(body, "y")
				_ = body.Close()
				if got := readAll(t, res.Body); got != "xxy" {
					t.Errorf("got %q, want xxy", got)
				}
			})
		}
	}
}

func TestQuietWebSocketsDoNotStall(t *testing.T) {
	t.Parallel()
	s := start(t, echo(t), stalling(stallLater))
	p := s.dial(request("GET /ws", "", webSocket))
	wantStatus(t, p.reply("GET"), http.StatusSwitchingProtocols)
	for range 2 {
		time.Sleep(quiet)
		p.say("x")
		if c, err := p.in.ReadByte(); c != 'x' || err != nil {
			t.Fatalf("got %q, %v, want the echo", c, err)
		}
	}
	_ = p.CloseWrite()
	wantOutcome(t, s.only(audit.Completed), audit.OK, "", 101, 101)
}

// Only the end of a reply of unknown length waits for its record, not the bytes
// that come with it.
func TestLastBytesDoNotWaitForTheRecord(t *testing.T) {
	t.Parallel()
	hold := new(dam)
	var open func()
	answer := func(r *http.Request) (*http.Response, error) {
		open, _ = hold.close()
		return &http.Response{
			StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: http.Header{},
			ContentLength: -1, Body: io.NopCloser(iotest.DataErrReader(strings.NewReader("hello"))),
		}, nil
	}
	s := start(t, "127.0.0.1:1", setup{
		transport: tripper(answer),
		audit:     func(c *audit.Config) { c.Now, c.MaxWait = hold.now, patience },
	})
	res := s.do("GET", "/", nil)
	if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
		t.Errorf("reading the last bytes: %v", err)
	}
	open()
	readAll(t, res.Body)
}
