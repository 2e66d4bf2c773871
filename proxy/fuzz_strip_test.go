package proxy_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"tollbook/proxy"
	"tollbook/proxy/clerk"
)

// bareHandler is one that neither listens nor records.
func bareHandler(f *testing.F, cfg proxy.Config) *proxy.Handler {
	f.Helper()
	cfg.Log = zap.NewNop()
	cfg.Upstream = &url.URL{Scheme: "http", Host: "upstream.example"}
	h, err := proxy.New(cfg)
	if err != nil {
		f.Fatalf("proxy.New: %v", err)
	}
	return h
}

// headerLines reads name: value lines as net/http hands them over, of whatever
// characters they are.
func headerLines(text string) http.Header {
	header := make(http.Header)
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && name != "" {
			name = textproto.CanonicalMIMEHeaderKey(name)
			header[name] = append(header[name], textproto.TrimString(value))
		}
	}
	return header
}

// folded is what a careless upstream makes of a header's name.
func folded(name string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x80 && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
			return c
		}
		return -1
	}, strings.ToLower(name))
}

func FuzzStrip(f *testing.F) {
	h := bareHandler(f, proxy.Config{
		ClaimHeaders: []proxy.ClaimHeader{{Claim: "org_id", Header: "X-Org-ID"}},
		TokenCookie:  "__session", AllowHeaders: []string{"x_trace.id"},
	})
	for _, seed := range []string{
		"", "X-User-ID: user_B\nx-user-id: user_C\nX-UserID: user_D\nXuser-ID: user_E",
		"X_User_ID: user_B", "Authorization: Bearer x", "X_A: b", "X.User.ID: user_B", "X-User-Id-: user_B\n-X-Us-Er-Id: a\nX--User-ID: b",
		"Connection: X-User-ID, X-Request-ID, Authorization\nAuthorization: Bearer x",
		"Connection: upgrade\nUpgrade: websocket\nX-Actor-ID: user_B\nXActorID: user_B",
		"Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk",
		"Cookie: a=b; __session=t; c=d\nCookie: __session_x=t", "X-Org-ID: org_B\nX-OrgID: org_B",
		"Te: trailers, deflate\nTrailer: X-User-ID\nKeep-Alive: 5", "X_Trace.ID: 1\nX-Trace-Id: 2",
		"X-Forwarded-For: 1.2.3.4\nX-Forwarded-Host: evil\nForwarded: for=1.2.3.4\nXForwardedFor: 6",
		"X-HTTP-Method-Override: PUT\nX-Original-URL: /admin\nX-Request-ID: x\nXRequest-ID: y",
		"X-User-\u0130D: user_B\nX-\u212aey: k",
	} {
		for _, method := range []string{"GET", "POST"} {
			f.Add(method, seed, true)
			f.Add(method, seed, false)
		}
	}
	f.Fuzz(func(t *testing.T, method, lines string, known bool) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/docs/", nil)
		r.Method, r.Host, r.RemoteAddr = method, "api.example", "192.0.2.1:1234"
		r.Header = headerLines(lines)
		var session *clerk.Session
		if known {
			session = &clerk.Session{UserID: userA, Claims: map[string]string{"org_id": "org_A"}}
		}
		before := r.Header.Clone()
		if out := h.Outgoing(r, session); out != nil {
			wantOnlyOurs(t, out, known)
			wantHopsEnded(t, r, out)
			wantOthersKept(t, before, out.Header)
		}
	})
}

// plainLetters are what all readers of a header's name take for themselves.
const plainLetters = "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// wantOnlyOurs checks that no header can be read as one of ours but ours, and
// that nothing of the client's credentials is left.
func wantOnlyOurs(t *testing.T, out *http.Request, known bool) {
	t.Helper()
	ours := map[string]string{
		"xrequestid": "", "xforwardedfor": "192.0.2.1", "xforwardedhost": "api.example",
		"xforwardedproto": "http",
	}
	if known {
		ours["xuserid"], ours["xorgid"] = userA, "org_A"
	}
	seen := make(map[string]int)
	for name, values := range out.Header {
		key := folded(name)
		want, isOurs := ours[key]
		switch {
		case strings.Trim(name, plainLetters) != "" && !strings.EqualFold(name, "x_trace.id"):
			t.Errorf("got a header %q upstream", name)
		case isOurs && len(values) == 1 && (values[0] == want || key == "xrequestid"):
			seen[key]++
		case isOurs, key == "xuserid", key == "xactorid", key == "xorgid",
			key == "authorization", key == "forwarded":
			t.Errorf("got %s: %q upstream", name, values)
		case !known && strings.Contains(" xhttpmethodoverride xhttpmethod xmethodoverride "+
			"xoriginalurl xoriginaluri xrewriteurl xforwardeduri ", " "+key+" "):
			t.Errorf("got %s: %q upstream of an unknown caller", name, values)
		}
	}
	for key := range ours {
		if seen[key] != 1 {
			t.Errorf("got %d headers %s upstream, want one", seen[key], key)
		}
	}
	for _, line := range out.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if name = strings.Trim(name, " \t"); name == "__session" || strings.HasPrefix(name, "__session_") {
				t.Errorf("got cookie %q upstream", pair)
			}
		}
	}
}

// wantHopsEnded checks that what is between the client and us stays there.
func wantHopsEnded(t *testing.T, in, out *http.Request) {
	t.Helper()
	for _, name := range []string{
		"Trailer", "Transfer-Encoding", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
		"Proxy-Authenticate", "Http2-Settings",
	} {
		if values, ok := out.Header[name]; ok {
			t.Errorf("got %s: %q upstream", name, values)
		}
	}
	if te := out.Header["Te"]; len(te) > 0 && !slices.Equal(te, []string{"trailers"}) {
		t.Errorf("got Te: %q upstream", te)
	}
	if len(out.Trailer) > 0 {
		t.Errorf("got trailers %q upstream", out.Trailer)
	}
	connection, upgrade := out.Header["Connection"], out.Header["Upgrade"]
	webSocket := in.Method == http.MethodGet && len(upgrade) == 1 && len(connection) == 1 &&
		strings.EqualFold(upgrade[0], "websocket") && connection[0] == "Upgrade"
	if (len(connection) > 0 || len(upgrade) > 0) && !webSocket {
		t.Errorf("got Connection: %q and Upgrade: %q upstream", connection, upgrade)
	}
}

// wantOthersKept checks that all other headers pass as they came, unless the
// client said that they are for us.
func wantOthersKept(t *testing.T, before, after http.Header) {
	t.Helper()
	after = maps.Clone(after)
	for name, values := range before {
		if got, ok := after[name]; ok && strings.HasPrefix(name, "A") && !slices.Equal(got, values) {
			t.Errorf("got %s: %q upstream, want %q", name, got, values)
		}
	}
	for name, values := range after {
		if _, came := before[name]; !came && !strings.HasPrefix(name, "X-") && name != "Connection" &&
			(name != "User-Agent" || !slices.Equal(values, []string{""})) {
			t.Errorf("got %s: %q upstream, which nobody sent", name, values)
		}
	}
}
