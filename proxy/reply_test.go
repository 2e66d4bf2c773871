package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
	"tollbook/proxy"
	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

// wantReply checks one of our own replies to the byte, and that its id is the
// header's. An empty reason means that none is said.
func wantReply(t testing.TB, res answer, status int, reason, detail string) {
	t.Helper()
	wantStatus(t, res, status)
	id := res.Header.Get("X-Request-Id")
	if len(id) != 32 {
		t.Errorf("got X-Request-ID %q, want 32 hex digits", id)
	}
	want := fmt.Sprintf(`{"detail":%s,"reason":%s,"request_id":%q}`+"\n", quoted(detail), quoted(reason), id)
	if reason == "" {
		want = fmt.Sprintf(`{"detail":%s,"request_id":%q}`+"\n", quoted(detail), id)
	}
	if got := readAll(t, res.Body); got != want {
		t.Errorf("got body %q, want %q", got, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store",
		"Content-Length": strconv.Itoa(len(want)),
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
	if got := res.Header.Get("Retry-After"); (got != "") != (status == http.StatusServiceUnavailable) {
		t.Errorf("got Retry-After %q with status %d", got, status)
	}
	if got := res.Header.Get("Www-Authenticate"); (got != "") != (status == http.StatusUnauthorized) {
		t.Errorf("got WWW-Authenticate %q with status %d", got, status)
	}
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(text)
}

// A refusal is a bad Authorization header and what it is answered with.
type refusal struct {
	name, authorization, reason, detail string
}

func refusals() []refusal {
	bearer := func(changes map[string]any) string { return "Bearer " + sign(changes) }
	other := clerktest.SharedKey("ins_other").WithID("ins_test")
	return []refusal{
		{"no token", "", "token_missing", "Not authenticated"},
		{
			"expired", bearer(map[string]any{"exp": noon.Add(-time.Second).Unix()}),
			"token_expired", "Token expired",
		},
		{
			"not yet valid", bearer(map[string]any{"nbf": noon.Add(time.Minute).Unix()}),
			"token_not_yet_valid", "Token validation failed: The token is not yet valid",
		},
		{
			"signature", "Bearer " + other.Sign(clerktest.SessionClaims(issuer, userA, noon)),
			"token_signature_invalid", "Invalid token signature",
		},
		{
			"issuer", bearer(map[string]any{"iss": "https://clerk.evil.example"}),
			"token_issuer_invalid", "Invalid token issuer",
		},
		{
			"no sub", bearer(map[string]any{"sub": nil}),
			"token_subject_missing", "Invalid token: missing user identifier",
		},
		{"no sid", bearer(map[string]any{"sid": nil}), "token_session_missing", ""},
		{"pending", bearer(map[string]any{"sts": "pending"}), "token_pending", ""},
		{"garbage", "Bearer a.b.c", "token_malformed", ""},
		{"basic", "Basic eDp5", "token_malformed", ""},
		{"too large", "Bearer " + strings.Repeat("a", 17<<10), "token_too_large", ""},
	}
}

func TestRefusedTokensAreToldWhy(t *testing.T) {
	t.Parallel()
	for _, test := range refusals() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			var header []string
			if test.authorization != "" {
				header = []string{"Authorization: " + test.authorization}
			}
			res := s.dial(plain("GET /jobs", "", header...)).reply("GET")
			wantRefusal(t, res, test)
			if n := rec.hits(); n != 0 {
				t.Errorf("got %d requests upstream, want none", n)
			}
			r := s.only(audit.Refused)
			if r.EventType != audit.EventAuthFailure || r.Reason != test.reason || r.HTTPStatus != 401 ||
				r.RequestID != res.Header.Get("X-Request-Id") {
				t.Errorf("got record %s %s %d %s", r.EventType, r.Reason, r.HTTPStatus, r.RequestID)
			}
		})
	}
}

// wantRefusal checks a 401 with its challenge. The verifier's words that begin
// with "Token validation failed" are its own affair.
func wantRefusal(t *testing.T, res answer, test refusal) {
	t.Helper()
	detail, challenge := test.detail, res.Header.Get("Www-Authenticate")
	if detail == "" {
		_, described, _ := strings.Cut(challenge, `error_description="`)
		if detail = strings.TrimSuffix(described, `"`); !strings.HasPrefix(detail, "Token validation failed: ") {
			t.Errorf("got description %q, want what failed", detail)
		}
	}
	wantReply(t, res, http.StatusUnauthorized, test.reason, detail)
	want := `Bearer realm="tollbook"`
	if test.authorization != "" {
		want += `, error="invalid_token", error_description="` + detail + `"`
	}
	if challenge != want {
		t.Errorf("got WWW-Authenticate %q, want %q", challenge, want)
	}
}

func TestReasonsCanBeHidden(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{proxy: proxy.Config{HideReasons: true}})
	token := sign(map[string]any{"exp": noon.Add(-time.Hour).Unix()})
	for _, header := range [][]string{nil, {"Authorization: Bearer " + token}} {
		res := s.dial(plain("GET /", "", header...)).reply("GET")
		wantReply(t, res, http.StatusUnauthorized, "", "Unauthorized")
		if got := res.Header.Get("Www-Authenticate"); got != `Bearer realm="tollbook"` {
			t.Errorf("got WWW-Authenticate %q, want the scheme and the realm only", got)
		}
	}
	if r := s.records()[1]; r.Reason != clerk.ReasonTokenExpired {
		t.Errorf("got reason %q in the trail, want the real one", r.Reason)
	}
}

// noKeys is a verifier that never got its keys.
type noKeys struct{}

func (noKeys) Verify(context.Context, string) (*clerk.Session, error) {
	return nil, fmt.Errorf("verifying: %w", clerk.ErrKeysUnavailable)
}

func TestMissingKeysAreOurFault(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{verifier: noKeys{}})
	wantReply(t, s.dial(request("GET /", "")).reply("GET"), http.StatusServiceUnavailable,
		"keys_unavailable", "Authentication keys unavailable")
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
	if r := s.only(audit.Refused); r.Reason != "keys_unavailable" {
		t.Errorf("got reason %q in the trail", r.Reason)
	}
}

// The session of a token whose signature and issuer are good names its user in the
// trail; that of any other token does not.
func TestRefusalsNameVerifiedUsersOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ token, user string }{
		"expired": {sign(map[string]any{"exp": noon.Add(-time.Hour).Unix()}), userA},
		"forged": {clerktest.SharedKey("ins_other").WithID("ins_test").Sign(
			clerktest.SessionClaims(issuer, userA, noon)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, record(t, okReply).addr, setup{})
			s.dial(plain("GET /", "", "Authorization: Bearer "+test.token)).reply("GET")
			r := s.only(audit.Refused)
			if r.UserID != test.user {
				t.Errorf("got user_id %q, want %q", r.UserID, test.user)
			}
			if r.TokenSHA256 != sha256Hex(test.token) {
				t.Errorf("got token_sha256 %q, want the token's", r.TokenSHA256)
			}
		})
	}
}

func TestTokensAreNeverToldToAnybody(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(p *peer, r *http.Request) {
		reply := "garbage " + goodToken()
		if r.URL.RawQuery != "" {
			reply = "HTTP/1.1 200 OK\r\ngarbage " + goodToken()
		}
		p.say(reply + "\r\n\r\n")
		_ = p.Close()
	})
	s := start(t, addr, setup{proxy: proxy.Config{ForwardAuthorization: true}})
	tokens := []string{goodToken()}
	for _, test := range refusals() {
		_, token, _ := strings.Cut(test.authorization, " ")
		if len(token) > 100 {
			tokens = append(tokens, token)
		}
	}
	var said bytes.Buffer
	for _, token := range tokens {
		for _, target := range []string{"/", "/?token=" + token, "/?x=" + token, "/" + token} {
			p := s.dial(plain("GET "+target, "", "Authorization: Bearer "+token,
				"User-Agent: "+token, "X-Request-ID: "+token, "Connection: close"))
			said.WriteString(p.everything())
		}
	}
	s.records()
	said.Write(s.text())
	for _, entry := range s.logs.All() {
		fmt.Fprintln(&said, entry.Message, entry.ContextMap())
	}
	for i, token := range tokens {
		signature := token[strings.LastIndexByte(token, '.')+1:]
		if bytes.Contains(said.Bytes(), []byte(signature)) {
			at := bytes.Index(said.Bytes(), []byte(signature))
			t.Errorf("token %d was told in %q", i, said.Bytes()[max(0, at-400):at+20])
		}
	}
}

func TestRequestIDIsOursEverywhere(t *testing.T) {
	t.Parallel()
	rec := record(t, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Request-ID: theirs\r\n\r\n"+
		"HTTP/1.1 200 OK\r\nX-Request-ID: theirs\r\nContent-Length: 2\r\n\r\nok")
	s := start(t, rec.addr, setup{})
	p := s.dial(request("GET /", "", "X-Request-ID: mine", "x-request-id: again"))
	wantStatus(t, p.reply("GET"), http.StatusEarlyHints)
	res := p.reply("GET")
	wantStatus(t, res, http.StatusOK)
	ids := res.Header.Values("X-Request-Id")
	if len(ids) != 1 || len(ids[0]) != 32 {
		t.Fatalf("got X-Request-ID %q, want one of ours", ids)
	}
	if forwarded := headerOf(rec.one(t), "X-Request-ID"); len(forwarded) != 1 || forwarded[0] != ids[0] {
		t.Errorf("got X-Request-ID %q upstream, want %q", forwarded, ids[0])
	}
	r := s.only(audit.Received)
	if r.RequestID != ids[0] || r.ClientRequestID != "mine, again" {
		t.Errorf("got request_id %q and client_request_id %q, want %q and \"mine, again\"",
			r.RequestID, r.ClientRequestID, ids[0])
	}
}
