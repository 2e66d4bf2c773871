package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
	"tollbook/proxy"
)

// app is the origin whose pages may use the cookie.
const app = "https://app.example"

// withCookie is a setup whose tokens may be in a cookie.
func withCookie() setup {
	return setup{proxy: proxy.Config{TokenCookie: "__session", CookieOrigins: []string{app}}}
}

func sessionCookie() string { return "Cookie: __session=" + goodToken() }

func TestCookiesMayHoldTheTokenWhereSaid(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"alone":        {sessionCookie()},
		"among others": {"Cookie: a=1;__session=" + goodToken() + " ; b=2"},
		"of two lines": {"Cookie: a=1", sessionCookie()},
		"with another": {"Cookie: __session_Ab1=x; __Session=y; x__session=z; __session=" + goodToken()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, withCookie())
			wantStatus(t, s.dial(plain("GET /", "", header...)).reply("GET"), http.StatusOK)
			got := rec.one(t)
			if ids := headerOf(got, "X-User-ID"); !slices.Equal(ids, []string{userA}) {
				t.Errorf("got X-User-ID %q, want %q", ids, userA)
			}
			if strings.Contains(got, goodToken()) {
				t.Errorf("got the token upstream: %q", got)
			}
			if r := s.only(audit.Received); r.UserID != userA || r.TokenSHA256 == "" {
				t.Errorf("got user %q and token_sha256 %q recorded", r.UserID, r.TokenSHA256)
			}
		})
	}
}

// A bad header is never rescued by a cookie, nor a cookie used that is in doubt.
func TestTokensAreTakenFromOnePlaceOnly(t *testing.T) {
	t.Parallel()
	expired := sign(map[string]any{"exp": noon.Add(-time.Hour).Unix()})
	for name, c := range map[string]struct {
		header []string
		reason string
	}{
		"bad header": {
			[]string{"Authorization: Bearer a.b.c", sessionCookie()},
			"token_malformed",
		},
		"expired header": {
			[]string{"Authorization: Bearer " + expired, sessionCookie()},
			"token_expired",
		},
		"empty header": {[]string{"Authorization:", sessionCookie()}, "token_malformed"},
		"Basic header": {[]string{"Authorization: Basic eDp5", sessionCookie()}, "token_malformed"},
		"bare header": {
			[]string{"Authorization: " + goodToken(), sessionCookie()},
			"token_malformed",
		},
		"two headers": {
			[]string{authorization(), "Authorization: Basic eDp5", sessionCookie()},
			"token_malformed",
		},
		"two cookies": {
			[]string{sessionCookie() + "; __session=" + goodToken()},
			"token_malformed",
		},
		"two cookie lines":   {[]string{sessionCookie(), sessionCookie()}, "token_malformed"},
		"quoted cookie":      {[]string{`Cookie: __session="` + goodToken() + `"`}, "token_malformed"},
		"blank in it":        {[]string{"Cookie: __session=a.b.c d"}, "token_malformed"},
		"expired cookie":     {[]string{"Cookie: __session=" + expired}, "token_expired"},
		"empty cookie":       {[]string{"Cookie: __session="}, "token_missing"},
		"cookie's suffix":    {[]string{"Cookie: __session_Ab1=" + goodToken()}, "token_missing"},
		"cookie's case":      {[]string{"Cookie: __SESSION=" + goodToken()}, "token_missing"},
		"cookie's value":     {[]string{"Cookie: a=__session=" + goodToken()}, "token_missing"},
		"name in quotes":     {[]string{`Cookie: "__session"=` + goodToken()}, "token_missing"},
		"Cookie2":            {[]string{"Cookie2: __session=" + goodToken()}, "token_missing"},
		"another's cookie":   {[]string{"Cookie: session=" + goodToken()}, "token_missing"},
		"proxy's header":     {[]string{"Proxy-Authorization: Bearer " + goodToken()}, "token_missing"},
		"header of no kind":  {[]string{"X-Authorization: Bearer " + goodToken()}, "token_missing"},
		"scheme in a cookie": {[]string{"Cookie: __session=Bearer " + goodToken()}, "token_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, withCookie())
			res := s.dial(plain("GET /?access_token="+goodToken(), "", c.header...)).reply("GET")
			wantStatus(t, res, http.StatusUnauthorized)
			if got := readAll(t, res.Body); !strings.Contains(got, `"`+c.reason+`"`) ||
				strings.Contains(got, goodToken()) {
				t.Errorf("got %q, want reason %s", got, c.reason)
			}
			if n := rec.hits(); n != 0 {
				t.Errorf("got %d requests upstream, want none", n)
			}
			if r := s.only(audit.Refused); r.Reason != c.reason || r.EventType != audit.EventAuthFailure {
				t.Errorf("got %s %q recorded, want %s", r.EventType, r.Reason, c.reason)
			}
			if text := string(s.text()); strings.Contains(text, goodToken()) ||
				strings.Contains(text, expired) {
				t.Error("got a token in the trail")
			}
		})
	}
}

func TestCookiesHoldNoTokenUnlessSaid(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	for _, cookie := range []string{
		sessionCookie(), "Cookie: =" + goodToken(),
		"Cookie: " + goodToken(),
	} {
		wantReply(t, s.dial(plain("GET /", "", cookie)).reply("GET"),
			http.StatusUnauthorized, "token_missing", "Not authenticated")
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}

func TestTheSessionCookieIsStripped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sent, want []string }{
		"alone":         {[]string{"__session=x"}, nil},
		"first":         {[]string{`__session=x; a=1; b="2, 3"`}, []string{`a=1; b="2, 3"`}},
		"last":          {[]string{"a=1; __session=x"}, []string{"a=1"}},
		"between":       {[]string{"a=1; __session=x;b=2;; c=a=b"}, []string{"a=1;b=2;; c=a=b"}},
		"twice":         {[]string{"__session=x; a=1; __session=y"}, []string{"a=1"}},
		"suffixed":      {[]string{"a=1; __session_Ab-1=x; __session=y"}, []string{"a=1"}},
		"two lines":     {[]string{"__session=x", "a=1"}, []string{"a=1"}},
		"blanks":        {[]string{"a=1; \t__session\t = x ; b=2"}, []string{"a=1; b=2"}},
		"without value": {[]string{"__session; a=1"}, []string{"a=1"}},
		"others' names": {
			[]string{"__sessions=1; x__session=2; __Session=3; __session-x=4; a=__session=5"},
			[]string{"__sessions=1; x__session=2; __Session=3; __session-x=4; a=__session=5"},
		},
		"nothing of it": {
			[]string{`a=1; b="two, three";c=;; d=a=b`},
			[]string{`a=1; b="two, three";c=;; d=a=b`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, withCookie())
			header := []string{authorization()}
			for _, line := range c.sent {
				header = append(header, "Cookie: "+line)
			}
			wantStatus(t, s.dial(plain("GET /", "", header...)).reply("GET"), http.StatusOK)
			if got := headerOf(rec.one(t), "Cookie"); !slices.Equal(got, c.want) {
				t.Errorf("got Cookie %q, want %q", got, c.want)
			}
		})
	}
}

func TestTheSessionCookieIsKeptWhenAskedFor(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	with := withCookie()
	with.proxy.ForwardAuthorization = true
	s := start(t, rec.addr, with)
	cookie := "a=1; __session=" + goodToken() + "; __session_x=1"
	wantStatus(t, s.dial(plain("GET /", "", "Cookie: "+cookie)).reply("GET"), http.StatusOK)
	if got := headerOf(rec.one(t), "Cookie"); !slices.Equal(got, []string{cookie}) {
		t.Errorf("got Cookie %q, want %q", got, cookie)
	}
}

// HTTP/2 may part the cookies into crumbs (RFC 9113 §8.2.3).
func TestCookiesWorkOverHTTP2(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, withCookie())
	ask := func(fields ...string) string {
		f := s.dialFields()
		defer f.Close()
		f.headers(1, flagEndStream, append([]string{
			":method: POST", ":path: /", ":scheme: http", ":authority: api.example",
		}, fields...)...)
		return f.answer(1)
	}
	const crumb = "cookie: __session="
	for reason, fields := range map[string][]string{
		"origin_refused":  {crumb + goodToken(), "origin: https://evil.example"},
		"token_malformed": {crumb + goodToken(), "authorization: Bearer a.b.c"},
		"token_missing":   {"cookie: a=1"},
	} {
		if got := ask(fields...); !strings.Contains(got, reason) {
			t.Errorf("got %q, want %s", got, reason)
		}
	}
	if got := ask("cookie: a=1", crumb+goodToken(), "cookie: b=2", "origin: "+app); got != "ok" {
		t.Errorf("got %q, want ok", got)
	}
	if got := headerOf(rec.one(t), "Cookie"); !slices.Equal(got, []string{"a=1; b=2"}) {
		t.Errorf("got Cookie %q, want the others", got)
	}
}
