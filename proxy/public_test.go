package proxy_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

// public is a setup with public routes.
func public() setup {
	with := withClaims()
	with.proxy.TokenCookie = "__session"
	with.proxy.PublicRoutes = []string{
		"GET /health", "GET /docs/", "POST /hooks/{name}", "GET /only/{$}", "GET evil.example/jobs",
	}
	return with
}

// emptyReply is one to any method.
const emptyReply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func TestPublicRoutesNeedNoToken(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"GET /health", "HEAD /health", "GET /health?", "GET /health?x=/../jobs&..;/", "GET /docs/",
		"GET /docs/a/b.html", "HEAD /docs/a", "GET /docs/%41%20b%C3%A9", "GET /docs/a:b@c|d",
		"GET /docs/.a/..b",
		"GET /docs/a./b..", "POST /hooks/stripe", "GET /only/", "GET /%68ealth",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			rec := record(t, emptyReply)
			s := start(t, rec.addr, public())
			method, _, _ := strings.Cut(line, " ")
			wantStatus(t, s.dial(plain(line, "")).reply(method), http.StatusOK)
			if got, _, _ := strings.Cut(rec.one(t), "\r\n"); got != line+" HTTP/1.1" {
				t.Errorf("got request line %q, want %q", got, line)
			}
			wantNobody(t, s)
		})
	}
}

// wantNobody checks that one request was forwarded, and that the trail knows of
// no user and of no token.
func wantNobody(t *testing.T, s *sidecar) {
	t.Helper()
	records := s.records()
	for _, phase := range []audit.Phase{audit.Received, audit.Completed} {
		r := onlyOf(t, records, phase)
		if r.UserID != "" || r.UserEmail != "" || r.Attributable != "" || r.SessionID != "" ||
			r.TokenSHA256 != "" || r.TokenIAT != 0 || r.ActorID != "" || r.KeyID != "" {
			t.Errorf("got a user in %s: %+v", phase, r)
		}
	}
	if len(records) != 2 {
		t.Errorf("got %d records, want two", len(records))
	}
	for _, null := range []string{`"user_id":null`, `"user_email":null`, `"alcoa_attributable":null`} {
		if n := bytes.Count(s.text(), []byte(null)); n < 2 {
			t.Errorf("got %d lines with %s, want both", n, null)
		}
	}
}

// waysOut lead from below a public path to another, for some servers.
var waysOut = []string{
	"/../jobs", "/%2e%2e/jobs", "/%2E%2E/jobs", "/.%2e/jobs", "/%2e./jobs", "/..%2fjobs", "/..%2Fjobs",
	"%2f..%2fjobs", "/%2f../jobs", "/..;/jobs", "/..;a=b/jobs", "/..%3b/jobs", "/..%3B/jobs",
	`/..\jobs`, `\..\jobs`, "/..%5cjobs", "%5C..%5Cjobs", "/..%252fjobs", "/%252e%252e/jobs",
	"/%25252e%25252e/jobs", "/..#/jobs", "/..%23/jobs", "/..%3f/jobs", "/..%3F/jobs", "/..%00/jobs",
	"/%00/../jobs", "/..%0a/jobs", "/..%09/jobs", "/..%0d%0aX-User-ID:%20user_B", "/..%7f/jobs",
	"/..%20/jobs", "/.%20/jobs", "/.../jobs", "/..../jobs", "/%20../jobs", "/..%20", "/%20./jobs",
	// nothing but one character that some server reads in another way
	"/a%2fb", "/a%2Fb", "/a%5cb", "/%2ea", "/a%3bb", "/a%23b", "/a%3fb", "/a%25b", "/a%00b",
	"/a%1fb", "/a%7Fb",
	"/a;b", `/a\b`, "/a#b",
	// overlong, halved and full-width
	"/%c0%ae%c0%ae/jobs", "/%c0%ae%c0%ae%c0%afjobs", "/..%c0%afjobs", "/..%e0%80%afjobs",
	"/%e0%80%ae%e0%80%ae/jobs", "/%f0%80%80%ae/jobs", "/%ff", "/%c3", "/%ed%a0%80",
	"/\xc0\xae\xc0\xae/jobs",
	"/%ef%bc%8e%ef%bc%8e/jobs", "/..%ef%bc%8fjobs", "/..%ef%bc%bcjobs", "/．．/jobs", "/..／jobs",
	"/%e2%80%a4%e2%80%a4/jobs", "/%e2%80%a5/jobs", "/..%e2%81%84jobs", "/..%e2%88%95jobs",
	"/%e2%80%8b../jobs", "/..%e2%80%ae/jobs", "/..%c2%a0/jobs", "/é", "/..%u002fjobs",
	"/%u002e%u002e/jobs",
}

func TestWhatIsNotPublicBeyondDoubtNeedsAToken(t *testing.T) {
	t.Parallel()
	wantProtected(t, []string{
		// other methods and paths
		"POST /health", "PUT /health", "DELETE /docs/a", "OPTIONS /health", "OPTIONS *", "get /health",
		"Get /health", "GETX /health", "GET /hooks/x", "HEAD /hooks/x", "POST /hooks/a/b", "POST /hooks/",
		"POST /health%20", "GET /jobs", "GET /", "GET /only/x", "GET /healthz", "GET /health/",
		"GET /health.",
		"GET /Health", "GET /HEALTH", "GET /DOCS/", "GET /docs", "HEAD /docs", "GET /only", "GET /docsx",
		// that /docs/ and /health are elsewhere in the target
		"GET /jobs?x=/health", "GET /jobs%23/health", "GET /jobs;/health", "GET /jobs#/health",
		"GET /jobs%3f/docs/", "GET /jobs/docs/", "GET /jobs/..%2fdocs/", "GET /jobs/../docs/",
		"GET /jobs/../health", "GET /jobs/%2e%2e/health", "GET //health", "GET /./health",
		// ways out
		"GET //jobs", "GET /docs//jobs", "GET /docs/..", "GET /docs/.", "GET /docs/../", "GET /docs/./",
		"GET /docs/a%2f%2fjobs",
	})
	for _, from := range []string{"GET /health", "HEAD /docs", "GET /docs/a"} {
		var lines []string
		for _, out := range waysOut {
			lines = append(lines, from+out)
		}
		wantProtected(t, lines)
	}
}

func wantProtected(t *testing.T, lines []string) {
	t.Helper()
	rec := record(t, okReply)
	s := start(t, rec.addr, public())
	refused := 0
	for _, line := range lines {
		method, _, _ := strings.Cut(line, " ")
		p := s.dial(plain(line, ""))
		res := p.reply(method)
		_ = p.Close()
		if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got status %d, want 401 or 400", line, res.StatusCode)
		}
		if res.Header.Get("X-Request-Id") != "" {
			refused++
		}
		if location := res.Header.Get("Location"); location != "" {
			t.Errorf("%s: got a redirect to %q", line, location)
		}
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none: %q", n, rec.requests)
	}
	wantRefused(t, s, refused)
}

// wantRefused checks that there are this many refused records and no others, each
// with a reason and without a user.
func wantRefused(t *testing.T, s *sidecar, n int) {
	t.Helper()
	records := s.records()
	if len(records) != n || n == 0 {
		t.Errorf("got %d records, want %d", len(records), n)
	}
	for _, r := range records {
		if r.Phase != audit.Refused || r.Reason == "" || r.UserID != "" || r.Attributable != "" {
			t.Errorf("got %s %q of %q for %s", r.Phase, r.Reason, r.UserID, r.Path)
		}
	}
}

func TestNoHeaderMakesARequestPublic(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, public())
	headers := []string{
		"X-Forwarded-Uri: /health", "X-Original-URL: /health", "X-Rewrite-URL: /health",
		"X-HTTP-Method-Override: GET", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Prefix: /docs",
		"User-Agent: kube-probe/1.30", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1",
		"Forwarded: for=127.0.0.1", "X-Forwarded-Host: evil.example", "X-User-ID: user_B",
		"Upgrade: websocket", webSocket, "Referer: http://api.example/health", "Origin: null",
	}
	for _, header := range headers {
		wantStatus(t, s.dial(plain("GET /jobs", "", header)).reply("GET"), http.StatusUnauthorized)
	}
	for _, host := range []string{"evil.example", "EVIL.example:80", "health", "localhost"} {
		text := "GET /jobs HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
		wantStatus(t, s.dial(text).reply("GET"), http.StatusUnauthorized)
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
	wantRefused(t, s, len(headers)+4)
}

func TestNoRouteIsPublicUnlessSaid(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{proxy: proxy.Config{Events: []proxy.Event{
		{Name: "health", Pattern: "GET /health"}, {Name: "all", Pattern: "/"},
	}}})
	for _, path := range []string{"/", "/health", "/livez", "/readyz", "/metrics", "/debug/pprof/"} {
		wantStatus(t, s.dial(plain("GET "+path, "")).reply("GET"), http.StatusUnauthorized)
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
	for i, path := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/"} {
		if got := readAll(t, s.dial(request("GET "+path, "")).reply("GET").Body); got != "ok" {
			t.Errorf("%s: got %q, want the upstream's", path, got)
		}
		if n := rec.hits(); n != i+1 {
			t.Errorf("%s: got %d requests upstream, want %d", path, n, i+1)
		}
	}
}

func TestBadPublicRoutesAreErrors(t *testing.T) {
	t.Parallel()
	for name, routes := range map[string][]string{
		"malformed": {"GET /{"}, "conflicting": {"GET /{a}/b", "GET /a/{b}"}, "empty": {""},
	} {
		if _, err := proxy.New(proxy.Config{PublicRoutes: routes}); err == nil ||
			!strings.HasPrefix(err.Error(), "proxy: public route: ") {
			t.Errorf("%s: got error %v, want one that names the public route", name, err)
		}
	}
}

// credentials are what a public request may show, and none of it is looked at.
func credentials() map[string]string {
	expired := sign(map[string]any{"exp": noon.Add(-1).Unix() - 3600})
	return map[string]string{
		"good": authorization(), "expired": "Authorization: Bearer " + expired,
		"garbage": "Authorization: Bearer x.y.z", "basic": "Authorization: Basic dXNlcl9COng=",
		"twice":  authorization() + "\r\n" + authorization(),
		"cookie": "Cookie: __session=" + goodToken(), "suffixed": "Cookie: __session_Ab1=" + expired,
	}
}

func TestPublicRequestsCarryNobody(t *testing.T) {
	t.Parallel()
	forged := []string{
		"X-User-ID: user_B", "x-user-id: user_B", "XUserID: user_B", "X-Actor-ID: user_B",
		"X-ActorID: user_B",
		"X-User-Email: user_B", "X-Org-ID: user_B", "Connection: X-User-ID", "X-Request-ID: user_B",
		"XRequestID: user_B",
		"Proxy-Authorization: Basic user_B",
		"X-HTTP-Method-Override: user_B", "X-HTTP-Method: user_B", "X-Method-Override: user_B",
		"X-Original-URL: user_B", "X-Original-URI: user_B", "X-Original-Method: user_B",
		"X-Original-Host: user_B", "X-Rewrite-URL: user_B", "X-Override-URL: user_B",
		"X-Forwarded-Uri: user_B", "X-Forwarded-URI: user_B", "X-Forwarded-Path: user_B",
		"X-Forwarded-Method: user_B", "X-Forwarded-Prefix: user_B", "X-Script-Name: user_B",
		"XOriginalURL: user_B", "X-Forwarded-Host: user_B", "X-Forwarded-For: 203.0.113.7",
	}
	for name, credential := range credentials() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			with := public()
			with.proxy.ForwardAuthorization = name == "good"
			s := start(t, rec.addr, with)
			header := append(slices.Clone(forged), credential, "Cookie: theme=dark", "X-Other: kept")
			wantStatus(t, s.dial(plain("GET /docs/", "", header...)).reply("GET"), http.StatusOK)
			got := rec.one(t)
			for _, secret := range []string{"user_B", userA, "Bearer", "Basic", "__session", "203.0.113.7"} {
				if strings.Contains(got, secret) {
					t.Errorf("got %q upstream in %q", secret, got)
				}
			}
			if cookies := headerOf(got, "Cookie"); !slices.Equal(cookies, []string{"theme=dark"}) {
				t.Errorf("got Cookie %q, want the other one", cookies)
			}
			if other := headerOf(got, "X-Other"); !slices.Equal(other, []string{"kept"}) {
				t.Errorf("got X-Other %q, want it kept", other)
			}
			wantNobody(t, s)
		})
	}
}
