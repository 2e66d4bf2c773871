package proxy_test

import (
	"context"
	"net/http"
	"testing"

	"tollbook/audit"
	"tollbook/proxy/clerk"
)

// lateRefusal refuses a token once its client has left, as a verifier does that
// was waiting for keys.
type lateRefusal struct{ asked chan struct{} }

func (v lateRefusal) Verify(ctx context.Context, _ string) (*clerk.Session, error) {
	close(v.asked)
	<-ctx.Done()
	return nil, &clerk.TokenError{
		Reason: clerk.ReasonTokenSignatureInvalid, Detail: "Invalid token signature",
	}
}

func TestHangingUpDoesNotHideARefusal(t *testing.T) {
	t.Parallel()
	v := lateRefusal{make(chan struct{})}
	s := start(t, record(t, okReply).addr, setup{verifier: v})
	client := s.dial(request("GET /", ""))
	<-v.asked
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	r := s.only(audit.Refused)
	if r.EventType != audit.EventAuthFailure || r.Reason != clerk.ReasonTokenSignatureInvalid ||
		r.HTTPStatus != 0 {
		t.Errorf("got %s %s %d, want the forgery recorded, and no status sent",
			r.EventType, r.Reason, r.HTTPStatus)
	}
}

func TestAnEmptyHostIsRefused(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	text := "GET / HTTP/1.1\r\nHost:\r\n" + authorization() + "\r\n\r\n"
	wantReply(t, s.dial(text).reply("GET"), http.StatusBadRequest,
		"request_invalid", "the Host header is empty")
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}
