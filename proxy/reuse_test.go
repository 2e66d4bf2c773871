package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// A call is answered before its request has ended, as a rule. With HTTP/2 that
// leaves nothing behind that could be taken for a request.
func TestCallsShareAConnection(t *testing.T) {
	t.Parallel()
	s := start(t, grpcUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		say(w, "one")
		_, _ = readFrame(r.Body)
	}), setup{})
	var dialled atomic.Int64
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	t.Cleanup(transport.CloseIdleConnections)
	for range 3 {
		replies, request := s.callOver(transport)
		res := replyOf(t, replies)
		wantFrame(t, res.Body, "one")
		_ = request.Close()
		wantOK(t, res)
	}
	if got := dialled.Load(); got != 1 {
		t.Errorf("got %d connections for 3 calls, want 1", got)
	}
}

// A flushCounter counts how often it is flushed.
type flushCounter struct {
	*httptest.ResponseRecorder
	flushes atomic.Int64
}

func (w *flushCounter) Flush() { w.flushes.Add(1) }

// A status in the head is one to gRPC only if the stream ends with that frame, and
// a flush would part the head from the end.
func TestAHeadThatIsTheEndIsNotFlushed(t *testing.T) {
	t.Parallel()
	s := start(t, h2cUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Grpc-Status", "12")
	}), setup{})
	for range 20 { // it was by chance
		w := &flushCounter{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/test.Jobs/Do", nil)
		r.Header.Set("Authorization", "Bearer "+goodToken())
		s.handler.ServeHTTP(w, r)
		if got := w.flushes.Load(); got != 0 || w.Header().Get("Grpc-Status") != "12" {
			t.Fatalf("got %d flushes and header %v, want none", got, w.Header())
		}
	}
}

// What an upstream sends of a long reply is not kept until it sends more.
func TestLongRepliesOfKnownLengthAreFlushed(t *testing.T) {
	t.Parallel()
	seen := make(chan struct{})
	s := start(t, scripted(t, func(p *peer, _ *http.Request) {
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nx")
		<-seen
		p.say(strings.Repeat("x", 99_999))
	}), setup{})
	res := s.do("GET", "/", nil)
	_, err := io.ReadFull(res.Body, make([]byte, 1))
	close(seen)
	if err != nil || len(readAll(t, res.Body)) != 99_999 {
		t.Errorf("got error %v, want the first byte before the others", err)
	}
}
