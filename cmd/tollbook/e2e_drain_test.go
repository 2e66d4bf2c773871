package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tollbook/proxy/clerk/clerktest"
)

// TestDrainEndsInOrder tells the program to end while a request is held, a
// WebSocket and an event stream are open and connections are idle: it says that it
// is not ready and still serves, then takes nothing new, lets the request finish,
// cuts the streams at the deadline, and records all of it.
func TestDrainEndsInOrder(t *testing.T) {
	t.Parallel()
	up := newLongUpstream(t)
	binary, trail := buildTollbook(t), filepath.Join(t.TempDir(), "trail")
	settings := trusting(clerktest.SharedKey(keyID))
	settings["TOLLBOOK_DRAIN_DELAY"], settings["TOLLBOOK_DRAIN_TIMEOUT"] = "700ms", "700ms"
	s := startSidecar(t, binary, up.url, trail, settings)
	d := drainClients{
		t: t, addr: strings.TrimPrefix(s.url, "http://"),
		tokens: tokens{key: clerktest.SharedKey(keyID)},
	}
	held, events, socket := d.ask("/held"), d.ask("/events"), d.ask("/ws",
		"Connection: Upgrade", "Upgrade: websocket")
	up.await(t, 3)
	wantReplyStatus(t, events, http.StatusOK)
	wantReplyStatus(t, socket, http.StatusSwitchingProtocols)
	idle := d.ask("/jobs")
	wantReplyStatus(t, idle, http.StatusCreated)

	s.signal(t, syscall.SIGTERM)
	client := newClient(t)
	eventually(t, "it is not ready", func() error {
		if err := statusOK(t.Context(), client, s.admin+"/readyz"); err == nil {
			return fmt.Errorf("ready")
		}
		return nil
	})
	if closes := wantReplyStatus(t, d.ask("/jobs"), http.StatusCreated); !closes {
		t.Error("got a reply without Connection: close during the delay")
	}
	if _, err := idle.in.ReadByte(); err == nil {
		t.Error("got bytes on an idle connection, want its end")
	}
	eventually(t, "nothing new is taken", func() error {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", d.addr)
		if err == nil {
			_ = c.Close()
			return fmt.Errorf("connected")
		}
		return nil
	})
	close(up.answer)
	if closes := wantReplyStatus(t, held, http.StatusCreated); !closes {
		t.Error("got a reply without Connection: close during the drain")
	}
	if got, err := io.ReadAll(events.body); err == nil {
		t.Errorf("got %q and the end of the event stream, want it cut", got)
	}
	if got, _ := io.ReadAll(socket.in); len(got) > 0 { // a reset is fine
		t.Errorf("got %q from the WebSocket", got)
	}
	s.wantExit(t, 0)
	verifyTrail(t, binary, trail)
	wantDrained(t, trail)
}

// wantDrained looks at what the trail says of it.
func wantDrained(t *testing.T, trail string) {
	t.Helper()
	outcomes := make(map[string]int)
	records := readTrail(t, trail)
	for _, r := range wantClosedOnce(t, records) {
		outcomes[r.Outcome+" "+r.Reason]++
	}
	for what, want := range map[string]int{"ok ": 3, "rejected draining": 2} {
		if outcomes[what] != want {
			t.Errorf("got %v, want %d of %q", outcomes, want, what)
		}
	}
	if last := records[len(records)-1]; last.Phase != "system" || last.Reason != "stop" {
		t.Errorf("got a last record %s %s, want stop", last.Phase, last.Reason)
	}
}

// A longUpstream answers in its own time.
type longUpstream struct {
	url     string
	arrived chan struct{}
	answer  chan struct{} // closed when /held is answered
}

func newLongUpstream(t *testing.T) *longUpstream {
	t.Helper()
	up := &longUpstream{arrived: make(chan struct{}, 9), answer: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/held":
			up.arrived <- struct{}{}
			<-up.answer
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			up.arrived <- struct{}{}
			<-r.Context().Done()
			return
		case "/ws":
			up.arrived <- struct{}{}
			echo(w)
			return
		}
		created(w)
	}))
	t.Cleanup(server.Close)
	up.url = server.URL
	return up
}

func (up *longUpstream) await(t *testing.T, n int) {
	t.Helper()
	for range n {
		<-up.arrived
	}
}

// drainClients are those of one program.
type drainClients struct {
	t      *testing.T
	addr   string
	tokens tokens
}

// An asked is a connection on which a request was sent.
type asked struct {
	net.Conn
	in   *bufio.Reader
	body io.Reader // of the reply, once it was read
}

func (d *drainClients) ask(path string, header ...string) *asked {
	d.t.Helper()
	c, err := (&net.Dialer{}).DialContext(d.t.Context(), "tcp", d.addr)
	if err != nil {
		d.t.Fatalf("dialling: %v", err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: api.example", "Authorization: Bearer " + d.tokens.current(),
	}, header...)
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		d.t.Fatalf("asking: %v", err)
	}
	return &asked{Conn: c, in: bufio.NewReader(c)}
}

// wantReplyStatus reads the head of the reply, and its body if it has a length. It
// returns whether the reply closes its connection.
func wantReplyStatus(t *testing.T, a *asked, status int) (closes bool) {
	t.Helper()
	res, err := http.ReadResponse(a.in, nil) //nolint:bodyclose // its connection is closed with the test
	if err != nil {
		t.Fatalf("reading a reply: %v", err)
	}
	a.body = res.Body
	if res.StatusCode != status {
		t.Errorf("got status %d, want %d", res.StatusCode, status)
	}
	if res.ContentLength > 0 {
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Errorf("reading a reply: %v", err)
		}
	}
	return res.Close
}
