package proxy_test

import (
	"net/http"
	"testing"
	"time"

	"tollbook/proxy"
)

func TestFewRefusalsAreNotSlowedDown(t *testing.T) {
	t.Parallel()
	var throttle proxy.Throttle
	now := noon
	for range 10 * proxy.RefusalRate {
		if wait, ok := throttle.Enter(now); wait > 0 || !ok {
			t.Fatalf("got a wait of %v at the rate, want none", wait)
		}
		now = now.Add(time.Second / proxy.RefusalRate)
	}
	for i := range proxy.RefusalBurst - 1 {
		if wait, ok := throttle.Enter(now); wait > 0 || !ok {
			t.Fatalf("got a wait of %v at the %d. of a burst, want none", wait, i)
		}
	}
	_, _ = throttle.Enter(now) // the last of the burst
	if wait, _ := throttle.Enter(now); wait == 0 {
		t.Error("got no wait behind a burst, want one")
	}
}

func TestAFloodOfRefusalsIsHeldToItsRate(t *testing.T) {
	t.Parallel()
	var throttle proxy.Throttle
	var last time.Duration
	for range proxy.RefusalBurst + proxy.RefusalWaiters {
		wait, ok := throttle.Enter(noon)
		if wait < last || wait > proxy.RefusalWait || !ok {
			t.Fatalf("got a wait of %v after one of %v, ok %t, want no shorter, %v at most",
				wait, last, ok, proxy.RefusalWait)
		}
		last = wait
	}
	want := min(proxy.RefusalWaiters*time.Second/proxy.RefusalRate, proxy.RefusalWait)
	if last != want {
		t.Errorf("got a wait of %v behind %d others, want %v", last, proxy.RefusalWaiters, want)
	}
	if wait, ok := throttle.Enter(noon); wait != 0 || ok {
		t.Errorf("got a wait of %v, ok %t, with too many waiting, want neither", wait, ok)
	}
	throttle.Leave()
	if wait, ok := throttle.Enter(noon); wait == 0 || !ok {
		t.Errorf("got a wait of %v, ok %t, with a place free, want a wait", wait, ok)
	}
	if wait, ok := throttle.Enter(noon.Add(time.Minute)); wait != 0 || !ok {
		t.Errorf("got a wait of %v, ok %t, long after the flood, want none", wait, ok)
	}
}

// A flood must not make those wait who are known.
func TestVerifiedUsersAreNotSlowedDown(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, setup{proxy: proxy.Config{DenyImpersonation: true}})
	s.handler.Flood()
	token := sign(map[string]any{"act": map[string]any{"sub": "user_support", "sid": "sess_s"}})
	for range 3 {
		wantStatus(t, s.dial(request("GET /", "")).reply("GET"), http.StatusOK)
		res := s.dial(plain("GET /", "", "Authorization: Bearer "+token)).reply("GET")
		wantReply(t, res, http.StatusForbidden, "impersonation_denied",
			"Impersonated sessions are not allowed")
		if res.Close {
			t.Error("got a refusal of a verified user that closes its connection")
		}
	}
	res := s.dial(plain("GET /", "")).reply("GET")
	wantStatus(t, res, http.StatusUnauthorized)
	if !res.Close {
		t.Error("got a refusal in a flood that keeps its connection, want Connection: close")
	}
}

// Streams that are reset at once must not be a way round (CVE-2023-44487).
func TestFloodsOfResetStreamsLoseTheirConnection(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, setup{})
	f := s.dialFields()
	s.handler.Flood() // others have gone before
	f.headers(1, flagEndStream, ":method: GET", ":path: /", ":scheme: http", ":authority: a")
	f.write(frame{kind: frameReset, stream: 1, payload: []byte{0, 0, 0, 8}})
	f.until(frameGoAway, 0)
}
