package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

// withClaims is a setup whose claim headers are X-User-Email and X-Org-ID.
func withClaims() setup {
	return setup{
		claims: []string{"email", "org_id"},
		proxy: proxy.Config{ClaimHeaders: []proxy.ClaimHeader{
			{Claim: "email", Header: "X-User-Email"}, {Claim: "org_id", Header: "X-Org-ID"},
		}},
	}
}

func TestForgedIdentityNeverReachesUpstream(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"user id":                {"X-User-ID: user_B"},
		"lower case":             {"x-user-id: user_B"},
		"odd case":               {"x-uSeR-iD: user_B"},
		"twice":                  {"X-User-ID: user_B", "X-User-Id: user_C"},
		"actor":                  {"X-Actor-ID: user_B"},
		"claim header":           {"X-User-Email: b@example.com", "x-org-id: org_B"},
		"without dashes":         {"XUserID: user_B"},
		"fewer dashes":           {"X-UserID: user_B", "XUser-ID: user_B"},
		"more dashes":            {"X--User-ID: user_B", "X-User-ID-: user_B", "-X-User-ID: user_B"},
		"claim without dashes":   {"XUserEmail: user_B", "X-OrgID: user_B"},
		"actor without dashes":   {"XActorID: user_B"},
		"request id":             {"X-Request-ID: user_B", "XRequestID: user_B"},
		"connection names it":    {"X-User-ID: user_B", "Connection: X-User-ID"},
		"connection names some":  {"X-User-ID: user_B", "Connection: close, x-user-id"},
		"connection alone":       {"Connection: X-User-ID"},
		"connection twice":       {"Connection: close", "Connection: X-USER-ID, X-Actor-ID"},
		"connection names alias": {"XUserID: user_B", "Connection: XUserID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, withClaims())
			wantStatus(t, s.dial(request("GET /jobs", "", header...)).reply("GET"), http.StatusOK)
			got := rec.one(t)
			if ids := headerOf(got, "X-User-ID"); !slices.Equal(ids, []string{userA}) {
				t.Errorf("got X-User-ID %q, want %q", ids, userA)
			}
			for _, forged := range []string{"user_B", "user_C", "b@example", "org_B"} {
				if strings.Contains(got, forged) {
					t.Errorf("got %q upstream in %q", forged, got)
				}
			}
		})
	}
}

func TestConnectionHeaderCannotRemoveWhatIsOurs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"X-User-ID", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Request-ID", "X-User-Email", "X-Actor-ID",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, withClaims())
			token := sign(map[string]any{
				"email": "a@example.com", "act": map[string]any{"sub": "user_support", "sid": "sess_s"},
			})
			s.dial(plain("GET /", "", "Connection: "+name, "Authorization: Bearer "+token)).reply("GET")
			if got := headerOf(rec.one(t), name); len(got) != 1 || got[0] == "" {
				t.Errorf("got %s %q, want ours", name, got)
			}
		})
	}
}

func TestOddHeaderNamesAreRefused(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	odd := []string{"X_User_ID", "x_user-id", "X.User.ID", "X!User#ID", "X-Trace_Id", "A~B"}
	for _, name := range odd {
		res := s.dial(request("GET /", "", name+": user_B")).reply("GET")
		wantReply(t, res, http.StatusBadRequest, "request_invalid",
			"header names may have letters, digits and dashes only")
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
	if got := len(s.records()); got != len(odd) {
		t.Errorf("got %d records, want %d", got, len(odd))
	}
}

func TestTrailersAreNotForwarded(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"declared": "Trailer: X-User-ID", "undeclared": "X-Other: 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			body := "3\r\nabc\r\n0\r\nX-User-ID: user_B\r\n\r\n"
			wantStatus(t, s.dial(request("POST /", body, "Transfer-Encoding: chunked", header)).
				reply("POST"), http.StatusOK)
			got := rec.one(t)
			if strings.Contains(got, "user_B") || headerOf(got, "Trailer") != nil {
				t.Errorf("got a trailer upstream: %q", got)
			}
			if r := s.only(audit.Completed); !r.Req.Complete || r.Req.Bytes != 3 {
				t.Errorf("got request body %+v, want 3 bytes, complete", r.Req)
			}
		})
	}
}

func TestDeclaredTrailersWithOddNamesAreRefused(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	res := s.dial(request("POST /", "0\r\nX_User_ID: user_B\r\n\r\n",
		"Transfer-Encoding: chunked", "Trailer: X_User_ID")).reply("POST")
	wantReply(t, res, http.StatusBadRequest, "request_invalid",
		"trailer names may have letters, digits and dashes only")
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}

func TestAuthorizationIsStripped(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	s.dial(request("GET /", "", "Proxy-Authorization: Basic eA==")).reply("GET")
	got := rec.one(t)
	if headerOf(got, "Authorization") != nil || strings.Contains(got, goodToken()) {
		t.Errorf("got the token upstream: %q", got)
	}
	if headerOf(got, "Proxy-Authorization") != nil {
		t.Errorf("got Proxy-Authorization upstream: %q", got)
	}
}

func TestAuthorizationIsKeptWhenAskedFor(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{proxy: proxy.Config{ForwardAuthorization: true}})
	s.dial(request("GET /", "")).reply("GET")
	got, want := headerOf(rec.one(t), "Authorization"), []string{"Bearer " + goodToken()}
	if !slices.Equal(got, want) {
		t.Errorf("got Authorization %q, want the client's", got)
	}
}

func TestCookiesPassUntouched(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	const cookie = `a=1; b="two, three";c=;; d=a=b`
	s.dial(request("GET /", "", "Cookie: "+cookie)).reply("GET")
	if got := headerOf(rec.one(t), "Cookie"); !slices.Equal(got, []string{cookie}) {
		t.Errorf("got Cookie %q, want %q", got, cookie)
	}
}

func TestActorIsForwardedAndRecorded(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	token := sign(map[string]any{"act": map[string]any{"sub": "user_support", "sid": "sess_s"}})
	s.dial(plain("GET /", "", "Authorization: Bearer "+token, "X-Actor-ID: user_B")).reply("GET")
	got := rec.one(t)
	if actor := headerOf(got, "X-Actor-ID"); !slices.Equal(actor, []string{"user_support"}) {
		t.Errorf("got X-Actor-ID %q, want user_support", actor)
	}
	if user := headerOf(got, "X-User-ID"); !slices.Equal(user, []string{userA}) {
		t.Errorf("got X-User-ID %q, want %q", user, userA)
	}
	r := s.only(audit.Received)
	if r.ActorID != "user_support" || r.Attributable != "user_support acting as "+userA {
		t.Errorf("got actor %q, attributable %q", r.ActorID, r.Attributable)
	}
}

func TestImpersonationCanBeDenied(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{proxy: proxy.Config{DenyImpersonation: true}})
	token := sign(map[string]any{"act": map[string]any{"sub": "user_support"}})
	res := s.dial(plain("GET /", "", "Authorization: Bearer "+token)).reply("GET")
	wantReply(t, res, http.StatusForbidden, "impersonation_denied",
		"Impersonated sessions are not allowed")
	s.dial(request("GET /", "")).reply("GET")
	if n := rec.hits(); n != 1 {
		t.Errorf("got %d requests upstream, want the second alone", n)
	}
	r := s.only(audit.Refused)
	if r.EventType != audit.EventAuthFailure || r.UserID != userA || r.ActorID != "user_support" {
		t.Errorf("got record %s of user %q, actor %q", r.EventType, r.UserID, r.ActorID)
	}
}

func TestClaimsBecomeHeaders(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, withClaims())
	token := sign(map[string]any{"email": "a@example.com"}) // and no org_id
	s.dial(plain("GET /", "", "Authorization: Bearer "+token, "X-Org-ID: org_B")).reply("GET")
	got := rec.one(t)
	if email := headerOf(got, "X-User-Email"); !slices.Equal(email, []string{"a@example.com"}) {
		t.Errorf("got X-User-Email %q, want a@example.com", email)
	}
	if org := headerOf(got, "X-Org-ID"); org != nil {
		t.Errorf("got X-Org-ID %q, want none: the token has no org_id", org)
	}
}

func TestUserIDHeaderCanHaveAnotherName(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{proxy: proxy.Config{UserIDHeader: "X-Remote-User"}})
	s.dial(request("GET /", "", "x-remote-user: user_B", "XRemoteUser: user_B",
		"Connection: X-Remote-User")).reply("GET")
	got := rec.one(t)
	if ids := headerOf(got, "X-Remote-User"); !slices.Equal(ids, []string{userA}) {
		t.Errorf("got X-Remote-User %q, want %q", ids, userA)
	}
	if strings.Contains(got, "user_B") {
		t.Errorf("got the forged name upstream: %q", got)
	}
}

func TestForwardedHeadersAreOurs(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	s.dial(request("GET /", "", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: evil.example",
		"X-Forwarded-Proto: https", "XForwardedFor: 203.0.113.9", "Forwarded: for=203.0.113.9",
	)).reply("GET")
	got := rec.one(t)
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "api.example", "X-Forwarded-Proto": "http",
	} {
		if values := headerOf(got, name); !slices.Equal(values, []string{want}) {
			t.Errorf("got %s %q, want %q", name, values, want)
		}
	}
	if strings.Contains(got, "203.0.113.9") || strings.Contains(got, "evil") {
		t.Errorf("got the client's claim upstream: %q", got)
	}
	if r := s.only(audit.Received); r.IPAddress != "127.0.0.1" || r.PeerIP != "127.0.0.1" {
		t.Errorf("got ip_address %q and peer_ip %q, want 127.0.0.1", r.IPAddress, r.PeerIP)
	}
}
