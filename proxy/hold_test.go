package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollbook/audit"
	"tollbook/proxy"
)

// A gate is a clock for the trail. Once it is shut the next one who asks for the
// time waits until it is opened: the next commit, if nobody else asks.
type gate struct {
	shut atomic.Bool
	open chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) now() time.Time {
	if g.shut.CompareAndSwap(true, false) {
		<-g.open
	}
	return time.Now()
}

func (g *gate) setup(maxWait time.Duration) setup {
	return setup{audit: func(c *audit.Config) { c.Now, c.MaxWait = g.now, maxWait }}
}

func TestReceivedIsOnDiskBeforeUpstreamIsDialled(t *testing.T) {
	t.Parallel()
	seen := make(chan []*audit.Record, 1)
	s := startSeen(t, setup{}, func(self func() *sidecar) string {
		return upstream(t, func(p *peer) {
			seen <- self().onDisk() // at the connection, before a byte of the request
			if _, err := http.ReadRequest(p.in); err == nil {
				p.say(okReply)
			}
		})
	})
	wantStatus(t, s.do("GET", "/jobs?a=b", nil), http.StatusOK)
	r := onlyOf(t, <-seen, audit.Received)
	if r.UserID != userA || r.Method != "GET" || r.Path != "/jobs" || r.Query != "a=b" {
		t.Errorf("got record of %s %s %s?%s", r.UserID, r.Method, r.Path, r.Query)
	}
}

func TestNothingIsForwardedWhileTheTrailWaits(t *testing.T) {
	t.Parallel()
	g := newGate()
	var connections atomic.Int64
	s := start(t, upstream(t, func(p *peer) {
		connections.Add(1)
		if _, err := http.ReadRequest(p.in); err == nil {
			p.say(okReply)
		}
	}), g.setup(20*time.Millisecond))
	g.shut.Store(true)
	res := s.do("GET", "/", nil)
	wantReply(t, res, http.StatusServiceUnavailable, "audit_unavailable", "Audit trail unavailable")
	close(g.open)
	for res.StatusCode != http.StatusOK { // the trail comes back
		res = s.do("GET", "/", nil)
	}
	if n := connections.Load(); n != 1 { // they are accepted in their order
		t.Errorf("got %d connections upstream, want that of the last request alone", n)
	}
}

func TestNothingIsForwardedWhenTheTrailHasFailed(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	s.breakTrail()
	for range 3 {
		res := s.do("POST", "/jobs", strings.NewReader("x"))
		wantReply(t, res, http.StatusServiceUnavailable, "audit_unavailable", "Audit trail unavailable")
		if got := res.Header.Get("Retry-After"); got != "1" {
			t.Errorf("got Retry-After %q, want 1", got)
		}
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
	if err := s.close(); err == nil {
		t.Error("got no error of the trail, want why it failed")
	}
}

// replies are the ways in which a reply can end, with what the client has of it
// when its outcome can't be recorded: nothing (held) or some, but not the end.
func replies() map[string]struct {
	method, reply, body string
	held                bool
} {
	type r = struct {
		method, reply, body string
		held                bool
	}
	long := strings.Repeat("0123456789abcdef", 8<<10)
	head := func(n int) string { return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n) }
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	return map[string]r{
		"no body":     {"GET", head(0), "", true},
		"HEAD":        {"HEAD", head(5), "", true},
		"204":         {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
		"304":         {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", true},
		"one byte":    {"GET", head(1) + "x", "x", true},
		"short":       {"GET", head(5) + "hello", "hello", true},
		"64 KiB":      {"GET", head(64<<10) + long[:64<<10], long[:64<<10], true},
		"64 KiB + 1":  {"GET", head(64<<10+1) + long[:64<<10+1], long[:64<<10+1], false},
		"long":        {"GET", head(len(long)) + long, long, false},
		"chunked":     {"GET", chunked + chunk("hello") + chunk("world") + "0\r\n\r\n", "helloworld", false},
		"no chunks":   {"GET", chunked + "0\r\n\r\n", "", false},
		"trailers":    {"GET", chunked + chunk("hello") + "0\r\nX-Sum: 1\r\n\r\n", "hello", false},
		"one chunk":   {"GET", chunked + chunk(long) + "0\r\n\r\n", long, false},
		"until close": {"GET", "HTTP/1.0 200 OK\r\n\r\nhello", "hello", false},
	}
}

func TestCompletedIsOnDiskWhenTheReplyHasEnded(t *testing.T) {
	t.Parallel()
	for name, test := range replies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, replyOnce(t, test.reply, nil), setup{})
			res := s.do(test.method, "/", nil)
			got := readAll(t, res.Body)
			r := onlyOf(t, s.onDisk(), audit.Completed) // now, not later
			if got != test.body || r.Outcome != audit.OK || !r.Res.Complete ||
				r.Res.Bytes != int64(len(got)) || r.Res.SHA256.String() != sha256Hex(got) {
				t.Errorf("got %d bytes and record %s %+v", len(got), r.Outcome, r.Res)
			}
		})
	}
}

// replyOnce is an upstream that calls before each reply, and closes after it.
func replyOnce(t *testing.T, reply string, before func()) string {
	return upstream(t, func(p *peer) {
		if _, err := http.ReadRequest(p.in); err != nil {
			return
		}
		if before != nil {
			before()
		}
		p.say(reply)
	})
}

func TestNoReplyEndsWithoutItsRecord(t *testing.T) {
	t.Parallel()
	for name, test := range replies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewRegistry()
			with := setup{proxy: proxy.Config{Metrics: proxy.NewMetrics(reg)}}
			s := startSeen(t, with, func(self func() *sidecar) string {
				return replyOnce(t, test.reply, func() { self().breakTrail() })
			})
			p := s.dial(request(test.method+" /", ""))
			if test.held {
				res := p.reply(test.method)
				if test.method == "HEAD" {
					wantStatus(t, res, http.StatusInternalServerError)
				} else {
					wantReply(t, res, http.StatusInternalServerError, "audit_outcome_unrecorded",
						"Outcome could not be recorded")
				}
			} else {
				wantCut(t, p, len(test.body))
			}
			if got := onlyOf(t, s.takenRecords(), audit.Received); got.UserID != userA {
				t.Errorf("got user %q in the received record", got.UserID)
			}
			wantValues(t, scrape(t, reg), map[string]float64{
				`tollbook_refusals_total{reason="audit_outcome_unrecorded"}`: 1,
			})
		})
	}
}

// wantCut reads a reply that must break off: an error before its end, whatever
// has come of it.
func wantCut(t *testing.T, p *peer, whole int) {
	t.Helper()
	res, err := http.ReadResponse(p.in, nil)
	if err != nil {
		return // nothing has left at all
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %d of %d bytes and error %v, want a cut reply", len(got), whole, err)
	}
	if res.ContentLength >= 0 && len(got) >= whole {
		t.Errorf("got all %d bytes, want the last ones to wait", whole)
	}
}

// A client of HTTP/1.0 takes the end of the connection for the end of the reply.
func TestCutRepliesAreResetToOldClients(t *testing.T) {
	t.Parallel()
	for name, test := range replies() {
		if test.held {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startSeen(t, setup{}, func(self func() *sidecar) string {
				return replyOnce(t, test.reply, func() { self().breakTrail() })
			})
			p := s.dial("GET / HTTP/1.0\r\n" + authorization() + "\r\n\r\n")
			got, err := io.ReadAll(p.in)
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %d bytes and error %v, want a reset", len(got), err)
			}
		})
	}
}

func TestOldClientsGetWholeReplies(t *testing.T) {
	t.Parallel()
	for name, test := range replies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, replyOnce(t, test.reply, nil), setup{})
			p := s.dial(test.method + " / HTTP/1.0\r\n" + authorization() + "\r\n\r\n")
			_, body, _ := strings.Cut(p.everything(), "\r\n\r\n")
			if body != test.body {
				t.Errorf("got %d bytes, want %d", len(body), len(test.body))
			}
			if r := s.only(audit.Completed); r.Outcome != audit.OK || r.Res.Bytes != int64(len(body)) {
				t.Errorf("got %s %+v", r.Outcome, r.Res)
			}
		})
	}
}

// What the trail has not recorded yet flows, but for the end.
func TestLongRepliesFlowBeforeTheirRecord(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for name, head := range map[string]string{
		"known length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size),
		"chunked":      fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", size/2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate()
			finish := make(chan struct{})
			s := start(t, scripted(t, func(p *peer, _ *http.Request) {
				p.say(head + strings.Repeat("x", size/2))
				<-finish
				end := strings.Repeat("y", size/2)
				if name == "chunked" {
					end = fmt.Sprintf("\r\n%x\r\n%s\r\n0\r\n\r\n", size/2, end)
				}
				p.say(end)
			}), g.setup(patience))
			res := s.do("GET", "/", nil)
			g.shut.Store(true) // from here on nothing can be recorded
			half := make([]byte, size/2)
			if _, err := io.ReadFull(res.Body, half); err != nil {
				t.Fatalf("reading the first half: %v", err)
			}
			close(finish)
			most := make([]byte, size/2-64<<10)
			if _, err := io.ReadFull(res.Body, most); err != nil {
				t.Fatalf("reading most of the second half: %v", err)
			}
			close(g.open)
			if rest := readAll(t, res.Body); len(rest) != 64<<10 {
				t.Errorf("got %d bytes at the end, want %d", len(rest), 64<<10)
			}
			if r := s.only(audit.Completed); r.Res.Bytes != size || !r.Res.Complete {
				t.Errorf("got reply body %+v, want %d bytes", r.Res, size)
			}
		})
	}
}

func TestEventsFlowAtOnce(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	s := start(t, httpUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for event := range next {
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		}
	}), setup{})
	res := s.do("GET", "/events", nil) // the head has come before any event
	in := bufio.NewReader(res.Body)
	for _, event := range []string{"data: 1\n", "data: 2\n", "data: 3\n"} {
		next <- event
		if got, err := in.ReadString('\n'); err != nil || got != event {
			t.Fatalf("got %q, %v, want %q before the next is sent", got, err, event)
		}
	}
	close(next)
	if r := s.only(audit.Completed); r.Outcome != audit.OK || r.Res.Bytes != 24 {
		t.Errorf("got %s %+v, want ok and 24 bytes", r.Outcome, r.Res)
	}
}
