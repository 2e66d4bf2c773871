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
		if wait := throttle.Enter(now); wait > 0 {
			t.Fatalf("got a wait of %v at the rate, want none", wait)
		}
		now = now.Add(time.Second / proxy.RefusalRate)
	}
	for i := range proxy.RefusalBurst {
		if wait := throttle.Enter(now); wait > 0 {
			t.Fatalf("got a wait of %v at the %d. of a burst, want none", wait, i)
		}
	}
	if wait := throttle.Enter(now); wait == 0 {
		t.Error("got no wait behind a burst, want one")
	}
}

func TestAFloodOfRefusalsIsHeldToItsRate(t *testing.T) {
	t.Parallel()
	var throttle proxy.Throttle
	for range proxy.RefusalBurst {
		throttle.Enter(noon)
	}
	for i := range 100 {
		want := time.Duration(i+1) * time.Second / proxy.RefusalRate
		if wait := throttle.Enter(noon); wait != want {
			t.Fatalf("got a wait of %v behind %d others, want %v", wait, i, want)
		}
	}
	var longest time.Duration
	for range 10 * proxy.RefusalRate {
		longest = throttle.Enter(noon)
	}
	if longest != proxy.RefusalWait {
		t.Errorf("got a wait of %v behind a great many, want %v", longest, proxy.RefusalWait)
	}
	if wait := throttle.Enter(noon.Add(time.Minute)); wait != 0 {
		t.Errorf("got a wait of %v long after the flood, want none", wait)
	}
}

// The refusal of somebody unknown waits in a flood, here until the client leaves;
// a flood must not make those wait who are known.
func TestOnlyUnknownCallersAreSlowedDown(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, setup{proxy: proxy.Config{DenyImpersonation: true}})
	s.handler.Flood()
	unknown := s.dial(plain("GET /", ""))
	token := sign(map[string]any{"act": map[string]any{"sub": "user_support", "sid": "sess_s"}})
	for range 3 {
		wantStatus(t, s.dial(request("GET /", "")).reply("GET"), http.StatusOK)
		res := s.dial(plain("GET /", "", "Authorization: Bearer "+token)).reply("GET")
		wantReply(t, res, http.StatusForbidden, "impersonation_denied",
			"Impersonated sessions are not allowed")
	}
	_ = unknown.SetReadDeadline(time.Now().Add(proxy.RefusalWait / 4))
	if _, err := unknown.in.ReadByte(); err == nil {
		t.Error("got the refusal of an unknown caller at once, want it to wait")
	}
}

// Streams that are reset at once must not be a way round (CVE-2023-44487): of what
// such a client has to say, little is read at a time. Once somebody is known, all
// of it is.
func TestHTTP2IsReadSlowlyInAFlood(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"unknown": false, "known": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, record(t, okReply).addr, setup{})
			f := s.dialFields()
			if known {
				f.headers(1, flagEndStream, asked("GET", "/")...)
				f.until(frameHeaders, 1)
			}
			s.handler.Flood()
			stream := uint32(3)
			for size := 0; size < 3*proxy.SlowBytes; stream += 2 {
				size += len(reset(f, stream))
			}
			ping := frame{kind: framePing, payload: []byte("the last")}
			f.write(ping)
			_ = f.SetReadDeadline(time.Now().Add(proxy.RefusalWait / 4))
			answered := false
			for got, ok := f.readAny(); ok; got, ok = f.readAny() {
				answered = answered || got.kind == framePing
			}
			if answered != known {
				t.Errorf("got the last frame read at once: %t, want %t", answered, known)
			}
		})
	}
}

// reset asks without a token, and takes it back.
func reset(f fieldPeer, stream uint32) []byte {
	fields := hpack([]string{":method", "GET", ":path", "/", ":scheme", "http", ":authority", "a"})
	flags := byte(flagEndStream | flagEndHeaders)
	f.write(frame{kind: frameHeaders, flags: flags, stream: stream, payload: fields},
		frame{kind: frameReset, stream: stream, payload: []byte{0, 0, 0, 8}})
	return fields
}
