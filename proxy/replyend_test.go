package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tollbook/audit"
)

// A dam holds every commit of the trail while it is shut.
type dam struct {
	shut    atomic.Pointer[chan struct{}] // nil: open
	waiting atomic.Pointer[chan struct{}] // closed by the first who waits
}

func (d *dam) now() time.Time {
	if open := d.shut.Load(); open != nil {
		if waiting := d.waiting.Swap(nil); waiting != nil {
			close(*waiting)
		}
		<-*open
	}
	return time.Now()
}

// close shuts the dam and returns how it is opened, and who is waiting then.
func (d *dam) close() (open func(), waiting <-chan struct{}) {
	gate, first := make(chan struct{}), make(chan struct{})
	d.waiting.Store(&first)
	d.shut.Store(&gate)
	return func() { d.shut.Store(nil); close(gate) }, first
}

// An ending is a way in which a reply can end.
type ending struct {
	name, method string
	held         bool // nothing of it leaves before its record
	serve        http.HandlerFunc
}

// grpcOK ends a call of gRPC.
const grpcOK = "0"

func endings() []ending {
	sized := func(size int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			_, _ = io.Copy(w, fill(int64(size)))
		}
	}
	flowing := func(header, trailer http.Header, pieces ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			maps.Copy(w.Header(), header)
			for _, piece := range pieces {
				_, _ = io.WriteString(w, piece)
				_ = http.NewResponseController(w).Flush()
			}
			maps.Copy(w.Header(), trailer)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	return []ending{
		{"no body", "GET", true, sized(0)},
		{"HEAD", "HEAD", true, sized(100_000)},
		{"HEAD of unknown length", "HEAD", true, flowing(nil, nil, "x")},
		{"204", "DELETE", true, status(204)},
		{"304", "GET", true, status(304)},
		{"short", "GET", true, sized(5)},
		{"64 KiB", "GET", true, sized(64 << 10)},
		{"64 KiB + 1", "GET", false, sized(64<<10 + 1)},
		{"long", "GET", false, sized(300_000)},
		{"unknown length", "GET", false, flowing(nil, nil, "hello", strings.Repeat("x", 100_000))},
		{"events", "GET", false, flowing(http.Header{"Content-Type": {"text/event-stream"}}, nil, "data: 1\n\n")},
		{
			"announced trailer", "GET", false,
			flowing(http.Header{"Trailer": {"X-Sum"}}, http.Header{"X-Sum": {"1"}}, "hello"),
		},
		{"trailer", "GET", false, flowing(nil, http.Header{http.TrailerPrefix + "X-Sum": {"1"}}, "hello")},
		{
			"gRPC", "GET", false,
			flowing(http.Header{"Content-Type": {"application/grpc"}, "Trailer": {"Grpc-Status"}},
				http.Header{"Grpc-Status": {grpcOK}}, "\x00\x00\x00\x00\x01x"),
		},
	}
}

// everyWay calls test for every protocol of the client and of the upstream.
func everyWay(t *testing.T, test func(t *testing.T, d dialect, serve func(testing.TB, http.HandlerFunc) string)) {
	t.Helper()
	t.Parallel()
	for _, d := range append(dialects, dialect{name: "HTTP/1.0"}) {
		for name, serve := range upstreams {
			t.Run(d.name+" to "+name, func(t *testing.T) {
				t.Parallel()
				test(t, d, serve)
			})
		}
	}
}

// A whole is what a client has of a reply that it takes for complete.
type whole struct {
	status  int
	length  int
	trailer http.Header
	err     error // it does not take it for that
}

// ask sends a request and reads the reply to its end.
func (d dialect) ask(s *sidecar, client *http.Client, method, path string) (got whole) {
	if d.name == "HTTP/1.0" {
		return askOld(s, method, path)
	}
	res, err := client.Do(d.request(s, method, path))
	if err != nil {
		return whole{err: err}
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return whole{res.StatusCode, len(content), res.Trailer, err}
}

// askOld is ask for HTTP/1.0, where only a length or the connection's end ends a
// reply.
func askOld(s *sidecar, method, path string) (got whole) {
	p := s.dial(method + " " + path + " HTTP/1.0\r\n" + authorization() + "\r\n\r\n")
	defer p.Close()
	res, err := http.ReadResponse(p.in, &http.Request{Method: method})
	if err != nil {
		return whole{err: err}
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return whole{res.StatusCode, len(content), nil, err}
}

// The trail's disk is slow: nobody has a whole reply before its record is there.
func TestNoClientHasAReplyBeforeItsRecord(t *testing.T) {
	everyWay(t, func(t *testing.T, d dialect, serve func(testing.TB, http.HandlerFunc) string) {
		t.Helper()
		hold := new(dam)
		type shut struct {
			open    func()
			waiting <-chan struct{}
		}
		shuts := make(chan shut, 1)
		kinds := endings()
		s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			open, waiting := hold.close()
			shuts <- shut{open, waiting}
			i, _ := strconv.Atoi(r.URL.Path[1:])
			kinds[i].serve(w, r)
		}), d.setup(t, setup{audit: func(c *audit.Config) { c.Now, c.MaxWait = hold.now, patience }}))
		client := d.client(s)
		for i, kind := range kinds {
			var opened atomic.Bool
			done := make(chan whole, 1)
			go func() {
				got := d.ask(s, client, kind.method, fmt.Sprintf("/%d", i))
				if !opened.Load() {
					got.err = errors.Join(got.err, errors.New("a reply before its record"))
				}
				done <- got
			}()
			dam := <-shuts
			within(t, dam.waiting, "the commit")
			select { // whoever lets the end go, lets it go now
			case got := <-done:
				t.Errorf("%s: got %+v while the commit waits", kind.name, got)
				dam.open()
				continue
			case <-time.After(5 * time.Millisecond):
			}
			opened.Store(true)
			dam.open()
			wantWhole(t, s, kind, d, <-done, i)
		}
	})
}

func wantWhole(t *testing.T, s *sidecar, kind ending, d dialect, got whole, i int) {
	t.Helper()
	if got.err != nil || got.status == http.StatusInternalServerError {
		t.Errorf("%s: got status %d and error %v, want the whole reply", kind.name, got.status, got.err)
	}
	if sum := got.trailer.Get("X-Sum") + got.trailer.Get("Grpc-Status"); d.name != "HTTP/1.0" &&
		len(sum) != strings.Count(kind.name, "railer")+strings.Count(kind.name, "gRPC") {
		t.Errorf("%s: got trailers %v", kind.name, got.trailer)
	}
	for _, r := range s.onDisk() {
		if r.Phase == audit.Completed && r.Path == fmt.Sprintf("/%d", i) {
			if r.Outcome != audit.OK || !r.Res.Complete || r.Res.Bytes != int64(got.length) {
				t.Errorf("%s: got %s and %+v, want ok and %d bytes", kind.name, r.Outcome, r.Res, got.length)
			}
			return
		}
	}
	t.Errorf("%s: got no completed record when the client has the reply", kind.name)
}

// The outcome can't be written: the client has an error of ours, or a cut reply.
func TestNoClientHasAWholeReplyWithoutItsRecord(t *testing.T) {
	everyWay(t, func(t *testing.T, d dialect, serve func(testing.TB, http.HandlerFunc) string) {
		t.Helper()
		for _, kind := range endings() {
			s := startSeen(t, d.setup(t, setup{}), func(self func() *sidecar) string {
				return serve(t, func(w http.ResponseWriter, r *http.Request) {
					self().breakTrail()
					kind.serve(w, r)
				})
			})
			client := d.client(s)
			got := d.ask(s, client, kind.method, "/")
			switch {
			case kind.held && (got.err != nil || got.status != http.StatusInternalServerError):
				t.Errorf("%s: got status %d and error %v, want 500", kind.name, got.status, got.err)
			case !kind.held && got.err == nil:
				t.Errorf("%s: got %d bytes and their end, want a cut reply", kind.name, got.length)
			}
			if rest := onlyOf(t, s.takenRecords(), audit.Received); rest.UserID != userA {
				t.Errorf("%s: got user %q in the received record", kind.name, rest.UserID)
			}
			_ = s.close()
		}
	})
}
