package main_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// refusal is a token that must not pass, and what is said about it.
type refusal struct {
	name   string
	token  string
	reason string
	detail string
	user   string // whom the trail may name: none unless key and issuer were right
}

// refusals returns one token for every row of the documented 401 replies.
func (s stack) refusals() []refusal {
	signed := func(key *clerktest.Key, change map[string]any) string {
		claims := clerktest.SessionClaims(s.issuer, alice, time.Now())
		maps.Copy(claims, change)
		maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
		return key.Sign(claims)
	}
	past, future := time.Now().Add(-time.Hour).Unix(), time.Now().Add(time.Hour).Unix()
	return []refusal{
		{"no token", "", "token_missing", "Not authenticated", "<null>"},
		{
			"expired", signed(s.key, map[string]any{"iat": past, "nbf": past, "exp": past + 60}),
			"token_expired", "Token expired", alice,
		},
		{
			"from the future", signed(s.key, map[string]any{"nbf": future, "exp": future + 60}),
			"token_not_yet_valid", "Token validation failed: The token is not yet valid", alice,
		},
		{
			"wrongly signed", signed(clerktest.NewKey(keyID), nil),
			"token_signature_invalid", "Invalid token signature", "<null>",
		},
		{
			"wrong issuer", signed(s.key, map[string]any{"iss": "https://clerk.evil.example"}),
			"token_issuer_invalid", "Invalid token issuer", "<null>",
		},
		{
			"no subject", signed(s.key, map[string]any{"sub": nil}),
			"token_subject_missing", "Invalid token: missing user identifier", "<null>",
		},
	}
}

// checkRefusals holds each reply to its documented bytes, and the trail to a
// record of it.
func (s stack) checkRefusals(t *testing.T, u upload) {
	t.Helper()
	for _, c := range s.refusals() {
		r := curl(t, append(append(bearer(c.token), u.form()...), s.url+"/jobs")...)
		id := r.header.Get("X-Request-ID")
		if r.status != 401 || id == "" {
			t.Errorf("%s: got %d with X-Request-ID %q, want 401 with one", c.name, r.status, id)
			continue
		}
		c.checkBody(t, r, id)
		c.checkHeaders(t, r)
		got := refusalOf(t, s.trail, id)
		if got.Phase != "refused" || got.EventType != "auth_failure" || got.Reason != c.reason ||
			text(got.UserID) != c.user || got.HTTPStatus != 401 {
			t.Errorf("%s: recorded as %s %s %s by %s, status %d; want refused auth_failure %s by %s",
				c.name, got.Phase, got.EventType, got.Reason, text(got.UserID), got.HTTPStatus,
				c.reason, c.user)
		}
	}
}

// checkBody wants the three documented members and nothing else.
func (c refusal) checkBody(t *testing.T, r reply, requestID string) {
	t.Helper()
	var got map[string]string
	if err := json.Unmarshal([]byte(r.body), &got); err != nil {
		t.Errorf("%s: %v in body %q", c.name, err, r.body)
	}
	want := map[string]string{"detail": c.detail, "reason": c.reason, "request_id": requestID}
	if !maps.Equal(got, want) {
		t.Errorf("%s: got body %v, want %v", c.name, got, want)
	}
}

// checkHeaders wants what RFC 6750 section 3 asks of a 401: no error code for
// a request that carries no token at all.
func (c refusal) checkHeaders(t *testing.T, r reply) {
	t.Helper()
	challenge := `Bearer realm="tollbook"`
	if c.token != "" {
		challenge += `, error="invalid_token", error_description="` + c.detail + `"`
	}
	for name, want := range map[string]string{
		"WWW-Authenticate": challenge,
		"Cache-Control":    "no-store",
		"Content-Type":     "application/json",
	} {
		if got := r.header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %s: got %q, want %q", c.name, name, got, want)
		}
	}
}
