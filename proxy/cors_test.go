package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tollbook/proxy"
)

// readable is a setup whose replies the scripts of app may read.
func readable() setup {
	return setup{proxy: proxy.Config{
		CORSOrigins: []string{app, "http://localhost:3000"}, MaxBodyBytes: 10,
		ReasonMethods: []string{"DELETE"}, DenyImpersonation: true,
	}}
}

// corsHeaders are those of a reply that speak of CORS.
func corsHeaders(res answer) map[string]string {
	found := make(map[string]string)
	for name, values := range res.Header {
		if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
			found[name] = strings.Join(values, "|")
		}
	}
	return found
}

func wantReadable(t *testing.T, name string, res answer, origin string) {
	t.Helper()
	got := corsHeaders(res)
	if got["Access-Control-Allow-Origin"] != origin || got["Vary"] != "Origin" ||
		got["Access-Control-Expose-Headers"] != "Retry-After, WWW-Authenticate, X-Request-ID" ||
		len(got) != 3 {
		t.Errorf("%s: got %q, want it readable for %s", name, got, origin)
	}
}

func TestOurRepliesAreReadableForTheOriginsSaid(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, readable())
	impersonated := "Authorization: Bearer " +
		sign(map[string]any{"act": map[string]any{"sub": "user_support"}})
	for name, c := range map[string]struct {
		text   string
		status int
	}{
		"no token":  {plain("GET /", "", "Origin: "+app), 401},
		"bad name":  {plain("GET /", "", "Origin: "+app, "X_Y: 1"), 400},
		"TRACE":     {request("TRACE /", "", "Origin: "+app), 405},
		"preflight": {plain("OPTIONS /", "", "Origin: "+app, "Access-Control-Request-Method: PUT"), 401},
		"reason":    {request("DELETE /", "", "Origin: "+app), 428},
		"actor":     {plain("GET /", "", "Origin: "+app, impersonated), 403},
		"too large": {
			request("POST /", strings.Repeat("x", 11), "Origin: "+app, "Content-Length: 11"),
			413,
		},
	} {
		p := s.dial(c.text)
		res := p.reply("GET")
		_ = p.Close()
		wantStatus(t, res, c.status)
		wantReadable(t, name, res, app)
	}
	s.handler.Abort()
	res := s.dial(request("GET /", "", "Origin: http://localhost:3000")).reply("GET")
	wantStatus(t, res, http.StatusServiceUnavailable)
	wantReadable(t, "draining", res, "http://localhost:3000")
}

func TestUnreachableUpstreamsAreReadableToo(t *testing.T) {
	t.Parallel()
	l := listen(t)
	_ = l.Close()
	s := start(t, l.Addr().String(), readable())
	res := s.dial(request("GET /", "", "Origin: "+app)).reply("GET")
	wantStatus(t, res, http.StatusBadGateway)
	wantReadable(t, "unreachable", res, app)
}

func TestOurRepliesAreUnreadableForOthers(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, readable())
	for name, header := range map[string][]string{
		"none": nil, "null": {"Origin: null"}, "empty": {"Origin:"}, "star": {"Origin: *"},
		"another": {"Origin: https://evil.example"}, "two": {"Origin: " + app, "Origin: " + app},
		"a list":      {"Origin: " + app + ", https://evil.example"},
		"longer":      {"Origin: " + app + ".evil.example"},
		"with a path": {"Origin: " + app + "/"}, "another scheme": {"Origin: http://app.example"},
		"another port": {"Origin: " + app + ":8443"}, "upper case": {"Origin: HTTPS://APP.EXAMPLE"},
		"a part": {"Origin: https://app"}, "both": {"Origin: " + app + " http://localhost:3000"},
	} {
		p := s.dial(plain("GET /", "", header...))
		res := p.reply("GET")
		_ = p.Close()
		wantStatus(t, res, http.StatusUnauthorized)
		if got := corsHeaders(res); len(got) != 1 || got["Vary"] != "Origin" {
			t.Errorf("%s: got %q, want Vary alone", name, got)
		}
	}
}

func TestNoReplyIsReadableUnlessSaid(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, withCookie())
	for _, text := range []string{
		plain("GET /", "", "Origin: "+app),
		plain("OPTIONS /", "", "Origin: "+app, "Access-Control-Request-Method: PUT"),
	} {
		if got := corsHeaders(s.dial(text).reply("GET")); len(got) != 0 {
			t.Errorf("got %q, want nothing of CORS", got)
		}
	}
}

func TestRepliesToCookiesAreReadableWithCredentials(t *testing.T) {
	t.Parallel()
	with := readable()
	with.proxy.TokenCookie, with.proxy.CookieOrigins = "__session", []string{app}
	s := start(t, record(t, okReply).addr, with)
	for origin, want := range map[string]string{app: "true", "https://evil.example": ""} {
		res := s.dial(plain("GET /", "", "Origin: "+origin)).reply("GET")
		if got := res.Header.Get("Access-Control-Allow-Credentials"); got != want {
			t.Errorf("%s: got Access-Control-Allow-Credentials %q, want %q", origin, got, want)
		}
	}
}

// What the upstream says of CORS is its own, and nothing is added to it.
func TestRepliesOfTheUpstreamAreItsOwnToOpen(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept\r\n"+
		"Content-Length: 2\r\n\r\nok").addr, readable())
	res := s.dial(request("GET /", "", "Origin: "+app)).reply("GET")
	if got := res.Header["Access-Control-Allow-Origin"]; !slices.Equal(got, []string{"*"}) {
		t.Errorf("got Access-Control-Allow-Origin %q, want the upstream's", got)
	}
	if got := corsHeaders(res); len(got) != 2 || got["Vary"] != "Accept" {
		t.Errorf("got %q, want the upstream's", got)
	}
	s = start(t, record(t, okReply).addr, readable())
	if got := corsHeaders(s.dial(request("GET /", "", "Origin: "+app)).reply("GET")); len(got) != 0 {
		t.Errorf("got %q, want nothing of CORS", got)
	}
}
