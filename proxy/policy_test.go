package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

func TestSomeMethodsNeedAReason(t *testing.T) {
	t.Parallel()
	const name = "X-Change-Reason: "
	for what, c := range map[string]struct {
		line   string
		header []string
		status int
		reason string // recorded
	}{
		"none":          {"DELETE /jobs/7", nil, 428, ""},
		"empty":         {"DELETE /jobs/7", []string{name}, 428, ""},
		"blanks":        {"DELETE /jobs/7", []string{name + " \t "}, 428, ""},
		"twice empty":   {"DELETE /jobs/7", []string{name, name}, 428, ", "},
		"only blanks":   {"DELETE /jobs/7", []string{name + "\u00a0\u3000"}, 428, "\u00a0\u3000"},
		"lower case":    {"delete /jobs/7", nil, 428, ""},
		"another":       {"PATCH /jobs/7", nil, 428, ""},
		"other header":  {"DELETE /jobs/7", []string{"XChangeReason: mistake"}, 428, ""},
		"given":         {"DELETE /jobs/7", []string{name + "mistake"}, 200, "mistake"},
		"given twice":   {"DELETE /jobs/7", []string{name + "mistake", name}, 200, "mistake, "},
		"given in UTF8": {"PATCH /jobs/7", []string{name + "Ölwechsel"}, 200, "Ölwechsel"},
		"not needed":    {"POST /jobs", nil, 200, ""},
		"not asked for": {"GET /jobs", []string{name + "curious"}, 200, "curious"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{proxy: proxy.Config{
				ReasonMethods: []string{"DELETE", "PATCH"},
				Events:        []proxy.Event{{Name: "cancel", Pattern: "DELETE /jobs/{job_id}"}},
			}})
			res := s.dial(request(c.line, "", c.header...)).reply("GET")
			wantStatus(t, res, c.status)
			phase, hits := audit.Received, 1
			if c.status != http.StatusOK {
				phase, hits = audit.Refused, 0
				wantReply(t, res, 428, "reason_required", "A reason for this change is required")
			}
			if n := rec.hits(); n != hits {
				t.Errorf("got %d requests upstream, want %d", n, hits)
			}
			r := s.only(phase)
			if r.UserID != userA || r.ChangeReason != c.reason {
				t.Errorf("got user %q and reason %q recorded, want %q", r.UserID, r.ChangeReason, c.reason)
			}
			if phase == audit.Refused && (r.Reason != "reason_required" ||
				r.EventType == audit.EventAuthFailure) {
				t.Errorf("got %s %q, want no failure to authenticate", r.EventType, r.Reason)
			}
		})
	}
}

// Nobody learns what needs a reason who is not known.
func TestReasonsAreAskedOfUsersOnly(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	with := public()
	with.proxy.ReasonMethods = []string{"POST"}
	s := start(t, rec.addr, with)
	wantStatus(t, s.dial(plain("POST /jobs", "")).reply("POST"), http.StatusUnauthorized)
	wantStatus(t, s.dial(plain("POST /hooks/x", "")).reply("POST"), http.StatusOK)
}

func TestAllowedHeaderNamesPass(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	with := withClaims()
	with.proxy.AllowHeaders = []string{"X_Trace", "x.b3.id"}
	s := start(t, rec.addr, with)
	wantStatus(t, s.dial(request("GET /", "", "x_trace: 1", "X.B3.ID: 2")).reply("GET"), http.StatusOK)
	got := rec.one(t)
	if headerOf(got, "X_Trace") == nil || headerOf(got, "X.B3.Id") == nil {
		t.Errorf("got %q upstream, want both headers", got)
	}
	for _, name := range []string{"X_Trac", "X_Trace_", "X-B3.ID", "x_b3_id", "X_User_ID"} {
		wantStatus(t, s.dial(request("GET /", "", name+": 1")).reply("GET"), http.StatusBadRequest)
	}
	body := "0\r\nX_Trace: 1\r\n\r\n"
	wantStatus(t, s.dial(request("POST /", body, "Transfer-Encoding: chunked", "Trailer: X_Trace")).
		reply("POST"), http.StatusOK)
}

// Settings that allow one of ours are refused at the start; if they were not, it
// would still not pass.
func TestAllowedHeaderNamesAreNeverOurs(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	with := withClaims()
	with.proxy.PublicRoutes = []string{"GET /health"}
	with.proxy.AllowHeaders = []string{"X_User_ID", "x.user.email", "X_Actor_Id", "X_Original_URL"}
	s := start(t, rec.addr, with)
	header := []string{
		"X_User_ID: user_B", "X.User.Email: user_B", "X_ACTOR_ID: user_B", "X_Original_URL: user_B",
	}
	wantStatus(t, s.dial(request("GET /jobs", "", header[:3:3]...)).reply("GET"), http.StatusOK)
	wantStatus(t, s.dial(plain("GET /health", "", header...)).reply("GET"), http.StatusOK)
	for _, got := range rec.requests {
		if strings.Contains(got, "user_B") {
			t.Errorf("got a forged name upstream: %q", got)
		}
	}
}

func TestActorsOfPublicRequestsAreNobody(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	with := public()
	with.proxy.DenyImpersonation = true
	s := start(t, rec.addr, with)
	token := sign(map[string]any{"act": map[string]any{"sub": "user_support"}})
	header := []string{"Authorization: Bearer " + token}
	wantStatus(t, s.dial(plain("GET /health", "", header...)).reply("GET"), http.StatusOK)
	if got := rec.one(t); strings.Contains(got, "user_support") || headerOf(got, "X-Actor-ID") != nil {
		t.Errorf("got an actor upstream: %q", got)
	}
	wantNobody(t, s)
}

func TestActorsAreAbsentWithoutImpersonation(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, withClaims())
	s.dial(request("GET /", "", "X-Actor-ID: user_B", "x-actorid: user_C")).reply("GET")
	if got := headerOf(rec.one(t), "X-Actor-ID"); got != nil {
		t.Errorf("got X-Actor-ID %q, want none", got)
	}
}

func TestSubjectsThatAreNoHeaderAreRefused(t *testing.T) {
	t.Parallel()
	for name, sub := range map[string]string{
		"line": "user_A\r\nX-Actor-ID: user_B", "line feed": "user_A\n", "NUL": "user_\x00A",
		"non-ASCII": "user_Ä", "blank inside": "user_A B", "C1": "user_A\u0085",
		"blank behind": "user_A ",
		"blank before": " user_A", "long": "user_" + strings.Repeat("a", 252), "DEL": "user_\x7f",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			token := "Authorization: Bearer " + sign(map[string]any{"sub": sub})
			wantStatus(t, s.dial(plain("GET /", "", token)).reply("GET"), http.StatusUnauthorized)
			if n := rec.hits(); n != 0 {
				t.Errorf("got %d requests upstream, want none", n)
			}
			if r := s.only(audit.Refused); r.UserID != "" {
				t.Errorf("got user %q recorded, want none", r.UserID)
			}
		})
	}
}

func TestTokensOutOfPlaceAreRefused(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	good := goodToken()
	for _, header := range [][]string{
		{authorization(), "Authorization: Bearer x"},
		{"Authorization: Bearer x", authorization()},
		{authorization(), authorization()},
		{authorization() + ", Bearer x"},
		{"Authorization: Bearer x," + good},
		{"Authorization: Basic " + good},
		{"Authorization: " + good},
		{"Authorization: Bearer"},
		{"Authorization: Bearer\t" + good},
		{"Authorization: Bearer \"" + good + "\""},
		{"Authorization: Token " + good},
		{"Authorization:"},
		{"Proxy-Authorization: Bearer " + good},
		{"X-Authorization: Bearer " + good},
		{"Cookie: __session=" + good},
		{"Token: " + good},
		{"Authorization: Bearer " + strings.Repeat(".", 60<<10)},
	} {
		p := s.dial(plain("GET /?access_token="+good+"&token="+good, "", header...))
		res := p.reply("GET")
		body := readAll(t, res.Body)
		_ = p.Close()
		if res.StatusCode != http.StatusUnauthorized || strings.Contains(body, good) ||
			strings.Contains(res.Header.Get("Www-Authenticate"), good) {
			t.Errorf("%.60q: got %d %q", header, res.StatusCode, body)
		}
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
	if strings.Contains(string(s.text()), good) {
		t.Error("got the token in the trail")
	}
}

func TestTwoHostsAreRefused(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	for _, hosts := range []string{
		"Host: api.example\r\nHost: evil.example", "Host: api.example\r\nhost: api.example", "Host: a b",
		"Host: a,b", "Host: a/b", "Host: a@b", "Host: a\\b", "X: y",
	} {
		text := "GET / HTTP/1.1\r\n" + hosts + "\r\nConnection: close\r\n" + authorization() + "\r\n\r\n"
		if res := s.dial(text).reply("GET"); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: got status %d, want 400", hosts, res.StatusCode)
		}
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none: %q", n, rec.requests)
	}
}

// The files of an upload must not be hidden behind another type.
func TestTwoContentTypesAreRefused(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	p := s.dial(request("POST /", "x", "Content-Type: text/plain",
		"content-type: multipart/form-data; boundary=b", "Content-Length: 1"))
	wantReply(t, p.reply("POST"), http.StatusBadRequest, "request_invalid",
		"there is more than one Content-Type header")
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}

// Nobody waits for the content of a request that says itself that it is too long.
func TestContentKnownToBeTooLongIsNotAskedFor(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{proxy: proxy.Config{MaxBodyBytes: 10}})
	p := s.dial(request("POST /", "", "Content-Length: 11", "Expect: 100-continue"))
	wantReply(t, p.reply("POST"), http.StatusRequestEntityTooLarge, "body_too_large",
		"The request body is too large")
	_ = p.Close()
	wantStatus(t, s.dial(request("POST /", "0123456789", "Content-Length: 10")).reply("POST"),
		http.StatusOK)
	if got := rec.one(t); !strings.HasSuffix(got, "0123456789") {
		t.Errorf("got %q upstream, want the second request", got)
	}
	if r := s.only(audit.Refused); r.Reason != "body_too_large" || r.UserID != userA {
		t.Errorf("got %q of %q recorded", r.Reason, r.UserID)
	}
}

func TestOldRequestsNeedNoHost(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	wantStatus(t, s.dial("GET / HTTP/1.0\r\n"+authorization()+"\r\n\r\n").reply("GET"), http.StatusOK)
	got := rec.one(t)
	if host := headerOf(got, "X-Forwarded-Host"); host != nil || len(headerOf(got, "Host")) != 1 {
		t.Errorf("got %q upstream, want one Host and no client's", got)
	}
}
