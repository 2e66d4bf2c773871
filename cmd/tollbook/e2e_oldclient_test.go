package main_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// A client of HTTP/1.0 takes the end of its connection for the end of a reply of
// unknown length. The kernel ends it when the program is killed: the reply must
// not look whole then, since its end is in no trail.
func TestAKilledProgramEndsNoReplyToAnOldClient(t *testing.T) {
	t.Parallel()
	up, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	t.Cleanup(func() { _ = up.Close() })
	go serveHalf(up)
	key, trail := clerktest.SharedKey(keyID), filepath.Join(t.TempDir(), "trail")
	l := newLaunch(t, buildTollbook(t), "http://"+up.Addr().String(), trail, trusting(key))
	s := l.start(t)
	s.waitUntilOK(t, s.admin+"/readyz")

	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.proxy)
	if err != nil {
		t.Fatalf("dialling: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	owner := tokens{key: key}
	_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\nAuthorization: Bearer "+owner.current()+"\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading the reply: %v", err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if _, err := io.ReadFull(res.Body, make([]byte, len("half"))); err != nil {
		t.Fatalf("reading half of the reply: %v", err)
	}
	s.kill()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("got the end of the reply, want a broken connection")
	}
}

// serveHalf answers on its first connection, and does not come to an end.
func serveHalf(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nhalf")
	}
	_, _ = io.Copy(io.Discard, conn)
}
