package proxy_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"tollbook/audit"
)

// What gRPC asks of a proxy: messages in either direction at any time, and the
// outcome in trailers (PROTOCOL-HTTP2 of gRPC).

// grpcFrame is a message as gRPC sends it.
func grpcFrame(message string) string {
	var head [5]byte
	binary.BigEndian.PutUint32(head[1:], uint32(len(message))) //nolint:gosec // G115: short
	return string(head[:]) + message
}

// readFrame returns the next message.
func readFrame(r io.Reader) (string, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", err
	}
	message := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err := io.ReadFull(r, message)
	return string(message), err
}

func wantFrame(t testing.TB, r io.Reader, want string) {
	t.Helper()
	if got, err := readFrame(r); err != nil || got != want {
		t.Fatalf("got message %q and error %v, want %q", got, err, want)
	}
}

// grpcUpstream is a server of HTTP/2 without TLS whose calls end with OK.
func grpcUpstream(t *testing.T, serve http.HandlerFunc) (url string) {
	return h2cUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Te") != "trailers" || r.Header.Get("Content-Type") != "application/grpc" ||
			r.Header.Get("Grpc-Timeout") != "9S" || r.Header.Get("X-User-ID") != userA {
			t.Errorf("got header %v upstream, want that of a call", r.Header)
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
		serve(w, r)
		w.Header().Set("Grpc-Status", "0")
		w.Header().Set("Grpc-Message", "fine")
	})
}

// say sends a message at once.
func say(w http.ResponseWriter, message string) {
	_, _ = io.WriteString(w, grpcFrame(message))
	_ = http.NewResponseController(w).Flush()
}

// call begins a call with HTTP/2 without TLS. The request is what is written to
// the pipe, until that is closed.
func (s *sidecar) call() (<-chan answer, *io.PipeWriter) {
	s.t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	s.t.Cleanup(transport.CloseIdleConnections)
	return s.callOver(transport)
}

// callOver is call over the transport's connections.
func (s *sidecar) callOver(transport *http.Transport) (<-chan answer, *io.PipeWriter) {
	s.t.Helper()
	body, request := io.Pipe()
	r, err := http.NewRequestWithContext(s.t.Context(), "POST", "http://"+s.addr+"/test.Jobs/Do", body)
	if err != nil {
		s.t.Fatalf("making a request: %v", err)
	}
	r.Header = http.Header{
		"Authorization": {"Bearer " + goodToken()}, "Content-Type": {"application/grpc"},
		"Te": {"trailers"}, "Grpc-Timeout": {"9S"},
	}
	replies := make(chan answer, 1)
	go func() {
		res, err := transport.RoundTrip(r)
		if err != nil {
			s.t.Errorf("calling: %v", err)
			close(replies)
			return
		}
		s.t.Cleanup(func() { _ = res.Body.Close() })
		replies <- answer{res}
	}()
	return replies, request
}

// sayTo writes a message of the client's.
func sayTo(t testing.TB, w io.Writer, message string) {
	t.Helper()
	if _, err := io.WriteString(w, grpcFrame(message)); err != nil {
		t.Fatalf("sending %q: %v", message, err)
	}
}

// replyOf waits for the reply's head.
func replyOf(t testing.TB, replies <-chan answer) answer {
	t.Helper()
	select {
	case res, ok := <-replies:
		if !ok {
			t.FailNow()
		}
		return res
	case <-time.After(patience):
		t.Fatalf("no reply in %s", patience)
		return answer{}
	}
}

// wantOK reads the end of a call that went well.
func wantOK(t testing.TB, res answer) {
	t.Helper()
	if rest := readAll(t, res.Body); rest != "" {
		t.Errorf("got %q behind the messages", rest)
	}
	if res.Trailer.Get("Grpc-Status") != "0" || res.Trailer.Get("Grpc-Message") != "fine" {
		t.Errorf("got trailers %v, want those of OK", res.Trailer)
	}
}

func TestCallsPassWithTheirTrailers(t *testing.T) {
	t.Parallel()
	s := start(t, grpcUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		message, err := readFrame(r.Body)
		if err != nil {
			t.Errorf("reading the message: %v", err)
		}
		say(w, "re: "+message)
	}), setup{})
	replies, request := s.call()
	sayTo(t, request, "one")
	_ = request.Close()
	res := replyOf(t, replies)
	wantFrame(t, res.Body, "re: one")
	wantOK(t, res)
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.OK, "", 200, 200)
	wantBody(t, "reply", r.Res, grpcFrame("re: one"), true)
}

// Each message waits for the one before it to have come all the way.
func TestCallsFlowBothWays(t *testing.T) {
	t.Parallel()
	s := start(t, grpcUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush() // the head comes before any message
		for {
			message, err := readFrame(r.Body)
			if err != nil {
				return
			}
			say(w, "re: "+message)
		}
	}), setup{})
	replies, request := s.call()
	res := replyOf(t, replies)
	for _, message := range []string{"one", "two", "three"} {
		sayTo(t, request, message)
		wantFrame(t, res.Body, "re: "+message)
	}
	_ = request.Close()
	wantOK(t, res)
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.OK, "", 200, 200)
	wantBody(t, "request", r.Req, grpcFrame("one")+grpcFrame("two")+grpcFrame("three"), true)
}

// The bound on the wait for a reply is not one on quiet.
func TestCallsMayBeQuiet(t *testing.T) {
	t.Parallel()
	const bound = 50 * time.Millisecond
	s := start(t, grpcUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		message, _ := readFrame(r.Body)
		say(w, message)
		message, _ = readFrame(r.Body)
		say(w, message)
	}), setup{timeout: bound})
	replies, request := s.call()
	quiet := func() { <-time.After(3 * bound) } // not for others: it is what is tested
	quiet()
	sayTo(t, request, "one")
	res := replyOf(t, replies)
	wantFrame(t, res.Body, "one")
	quiet()
	sayTo(t, request, "two")
	wantFrame(t, res.Body, "two")
	quiet()
	_ = request.Close()
	wantOK(t, res)
}

func TestMessagesGoUpBeforeTheReply(t *testing.T) {
	t.Parallel()
	came := make(chan string)
	s := start(t, grpcUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			message, err := readFrame(r.Body)
			if err != nil {
				break
			}
			came <- message
		}
		say(w, "all")
	}), setup{})
	replies, request := s.call()
	for _, message := range []string{"one", "two"} {
		sayTo(t, request, message)
		if got := <-came; got != message {
			t.Errorf("got %q upstream, want %q", got, message)
		}
	}
	_ = request.Close()
	res := replyOf(t, replies)
	wantFrame(t, res.Body, "all")
	wantOK(t, res)
}

// A call that fails at once has its outcome in the only header that there is.
func TestCallsMayEndWithTheirHead(t *testing.T) {
	t.Parallel()
	s := start(t, h2cUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Grpc-Status", "12")
	}), setup{})
	replies, request := s.call()
	sayTo(t, request, "one")
	_ = request.Close()
	res := replyOf(t, replies)
	if got := readAll(t, res.Body); got != "" || res.Header.Get("Grpc-Status") != "12" {
		t.Errorf("got %q and header %v, want the status alone", got, res.Header)
	}
	r := s.only(audit.Completed)
	wantOutcome(t, r, audit.OK, "", 200, 200)
	wantBody(t, "reply", r.Res, "", true)
}

// A client that has the trailers finds its record on disk.
func TestTheOutcomeOfACallWaitsForItsRecord(t *testing.T) {
	t.Parallel()
	g := newGate()
	s := start(t, grpcUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		say(w, "one")
		_, _ = readFrame(r.Body)
	}), g.setup(patience))
	replies, request := s.call()
	res := replyOf(t, replies)
	g.shut.Store(true) // from here on nothing can be recorded
	wantFrame(t, res.Body, "one")
	_ = request.Close()
	ended := make(chan []*audit.Record)
	go func() {
		_, _ = io.Copy(io.Discard, res.Body)
		ended <- s.onDisk()
	}()
	for g.shut.Load() { // until the trail asks for the time, and waits
		<-time.After(time.Millisecond)
	}
	select {
	case <-ended:
		t.Error("got the end of the call while its record could not be written")
	default:
	}
	close(g.open)
	if r := onlyOf(t, <-ended, audit.Completed); r.Outcome != audit.OK || !r.Res.Complete {
		t.Errorf("got record %s %+v, want one of the whole call", r.Outcome, r.Res)
	}
	if res.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("got trailers %v, want those of OK", res.Trailer)
	}
}

func TestACallWithoutARecordHasNoOutcome(t *testing.T) {
	t.Parallel()
	s := startSeen(t, setup{timeout: patience}, func(self func() *sidecar) string {
		return grpcUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			say(w, "one")
			_, _ = readFrame(r.Body)
			self().breakTrail()
		})
	})
	replies, request := s.call()
	res := replyOf(t, replies)
	wantFrame(t, res.Body, "one")
	_ = request.Close()
	rest, err := io.ReadAll(res.Body)
	if err == nil || errors.Is(err, io.EOF) || len(rest) > 0 || res.Trailer.Get("Grpc-Status") != "" {
		t.Errorf("got %q, error %v and trailers %v, want a call that is cut", rest, err, res.Trailer)
	}
}
