package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
	"tollbook/proxy"
)

// lastRequest ends what a client says: its reply ends the connection. It has no
// token.
const lastRequest = "GET /last HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n"

// silence is how long a client that says no more waits for the end.
const silence = 5 * time.Millisecond

// A fuzzBed is a sidecar between a client that says anything and an upstream that
// takes no nonsense.
type fuzzBed struct {
	*sidecar
	upstream *strictUpstream
	read     map[string]int64 // of each of the trail's files
}

func newFuzzBed(f *testing.F) *fuzzBed {
	f.Helper()
	bed := &fuzzBed{upstream: newStrictUpstream(f), read: make(map[string]int64)}
	bed.sidecar = start(f, bed.upstream.addr, setup{
		transport: bed.upstream.transport,
		proxy:     proxy.Config{TokenCookie: "__session", CookieOrigins: []string{"https://app.example"}},
	})
	return bed
}

// say sends text on a connection of its own and returns when no more can come of
// it. A client that leaves closes its side at once.
func (bed *fuzzBed) say(t *testing.T, text string, leaves bool) {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", bed.addr)
	if err != nil {
		t.Fatalf("dialling: %v", err)
	}
	defer c.Close()
	p := newPeer(t, c)
	_, _ = io.WriteString(p.TCPConn, text) // it may be closed on us
	if !leaves {
		_ = p.SetReadDeadline(time.Now().Add(silence))
		_, err = io.Copy(io.Discard, p.TCPConn)
		leaves = errors.Is(err, os.ErrDeadlineExceeded) // it waits for more than there is
	}
	if leaves {
		_ = p.CloseWrite()
		_ = p.SetReadDeadline(time.Now().Add(patience))
		if _, err = io.Copy(io.Discard, p.TCPConn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection does not end")
		}
	}
	_ = c.Close() // or a tunnel stays open
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := bed.handler.Wait(ctx); err != nil {
		t.Fatalf("a request does not end: %v", err)
	}
}

// records returns the trail's new records by their request's id.
func (bed *fuzzBed) records(t *testing.T) (received, completed map[string]*audit.Record) {
	t.Helper()
	received, completed = make(map[string]*audit.Record), make(map[string]*audit.Record)
	for _, name := range bed.files() {
		for line := range bytes.Lines(bed.news(t, name)) {
			r, err := audit.Parse(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				t.Fatalf("parsing %q: %v", line, err)
			}
			switch r.Phase { //nolint:exhaustive // the others are of no request upstream
			case audit.Received:
				received[r.RequestID] = r
			case audit.Completed:
				completed[r.RequestID] = r
			}
		}
	}
	return received, completed
}

// news returns the whole lines that were not read before.
func (bed *fuzzBed) news(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatalf("reading the trail: %v", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, bed.read[name], 1<<40))
	if err != nil {
		t.Fatalf("reading the trail: %v", err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	bed.read[name] += int64(len(text))
	return text
}

func FuzzHandler(f *testing.F) {
	bed := newFuzzBed(f)
	for _, seed := range fuzzSeeds() {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, input string, leaves bool) {
		sent := spellOut(input)
		http2 := strings.HasPrefix(sent, "PRI * HTTP/2.0\r\n")
		if !leaves && !http2 {
			sent += lastRequest
		}
		bed.say(t, sent, leaves)
		seen, faults := bed.upstream.take(t)
		received, completed := bed.records(t)
		for _, entry := range bed.logs.TakeAll() {
			if strings.Contains(entry.Message, goodToken()) {
				t.Errorf("got the token in the log: %.80q", entry.Message)
			}
		}
		for _, fault := range faults {
			t.Errorf("got a malformed request upstream: %v", fault)
		}
		for _, r := range seen {
			wantRecorded(t, r, received, completed)
			wantIdentified(t, r)
		}
		if !http2 {
			wantAsked(t, sent, seen)
		}
		if input == simpleRequest && !leaves && len(seen) != 1 {
			t.Errorf("got %d requests upstream, want 1", len(seen))
		}
	})
}

// wantRecorded checks that the request was received from user A before, and that
// its record is of this request and no other.
func wantRecorded(t *testing.T, r *wireRequest, received, completed map[string]*audit.Record) {
	t.Helper()
	ids := r.values("X-Request-ID")
	if len(ids) != 1 {
		t.Fatalf("got request ids %q upstream, want one", ids)
	}
	record := received[ids[0]]
	if record == nil {
		t.Fatalf("got %s %s upstream without a record of its own", r.method, r.target)
	}
	delete(received, ids[0])
	path, _, _ := strings.Cut(r.target, "?")
	if record.UserID != userA || record.Method != r.method || record.Path != path {
		t.Errorf("got %s %s upstream, recorded as %s %s of %q",
			r.method, r.target, record.Method, record.Path, record.UserID)
	}
	end := completed[ids[0]]
	if end == nil {
		t.Fatalf("got %s %s upstream and no record of its end", r.method, r.target)
	}
	if r.complete && (!end.Req.Complete || end.Req.Bytes != int64(len(r.body)) ||
		end.Req.SHA256 != audit.Hash(sha256.Sum256(r.body))) {
		t.Errorf("got %d bytes upstream that look whole, recorded as %+v", len(r.body), end.Req)
	}
}

// wantIdentified checks that the upstream learns who asks, from us alone.
func wantIdentified(t *testing.T, r *wireRequest) {
	t.Helper()
	if ids := r.values("X-User-ID"); !slices.Equal(ids, []string{userA}) {
		t.Errorf("got users %q upstream, want %s", ids, userA)
	}
	webSocket := r.method == "GET" && len(r.values("Upgrade")) == 1 &&
		strings.EqualFold(r.values("Upgrade")[0], "websocket")
	seen := make(map[string]bool)
	for _, h := range r.header {
		name, value := h[0], h[1]
		switch key := folded(name); key {
		case "xuserid", "xrequestid", "xforwardedfor", "xforwardedhost", "xforwardedproto", "host":
			if plain := strings.ReplaceAll(strings.ToLower(name), "-", ""); seen[key] || plain != key ||
				strings.Count(name, "-") != strings.Count(strings.Trim(name, "-"), "-") {
				t.Errorf("got %s: %q upstream, a second spelling", name, value)
			}
			seen[key] = true
		case "xactorid", "authorization", "trailer", "http2settings", "forwarded", "keepalive":
			t.Errorf("got %s: %q upstream", name, value)
		case "connection", "upgrade":
			unexpected := value == "close" && len(r.values("Content-Length"))+len(r.values("Transfer-Encoding")) > 0 &&
				slices.Contains([]string{"GET", "HEAD", "OPTIONS", "DELETE"}, r.method)
			if !webSocket && !unexpected {
				t.Errorf("got %s: %q upstream", name, value)
			}
		case "te":
			if value != "trailers" {
				t.Errorf("got %s: %q upstream", name, value)
			}
		case "cookie":
			if session, _ := pairsOf([]string{value}, "__session"); len(session) > 0 {
				t.Errorf("got %s: %q upstream", name, value)
			}
		}
		if strings.Trim(name, plainLetters) != "" {
			t.Errorf("got a header %q upstream", name)
		}
	}
}

// wantAsked checks that the client asked for each request that the upstream saw,
// with a token, in this order.
func wantAsked(t *testing.T, sent string, seen []*wireRequest) {
	t.Helper()
	if tokens := strings.Count(sent, goodToken()); len(seen) > tokens {
		t.Errorf("got %d requests upstream of %d tokens", len(seen), tokens)
	}
	for _, r := range seen {
		if !strings.Contains(sent, r.method+" "+r.target+" HTTP/1.") {
			t.Errorf("got %s %s upstream, which the client never said", r.method, r.target)
		}
	}
	asked, plain := askedFor(sent)
	for _, r := range seen {
		at := slices.IndexFunc(asked, func(a *wireRequest) bool {
			return a.method == r.method && a.target == r.target &&
				(!r.complete || a.complete && bytes.Equal(a.body, r.body))
		})
		if at >= 0 {
			asked = asked[at+1:]
		} else if plain {
			t.Errorf("got %s %s with %q upstream, want no more than %d of what was asked",
				r.method, r.target, r.body, len(asked))
		}
	}
}

// askedFor reads the requests with a token as a strict server would. It is plain
// what was asked if it understands them all.
func askedFor(sent string) (asked []*wireRequest, plain bool) {
	in := bufio.NewReader(strings.NewReader(sent))
	for {
		r, err := readWire(in)
		if r != nil && (err == nil || errors.Is(err, errWireCut)) && r.shows(goodToken()) {
			asked = append(asked, r)
		}
		if err != nil {
			return asked, errors.Is(err, errWireEnd) || errors.Is(err, errWireCut)
		}
	}
}

// shows reports whether the token stands in a header.
func (r *wireRequest) shows(token string) bool {
	return slices.ContainsFunc(r.header, func(h [2]string) bool { return strings.Contains(h[1], token) })
}
