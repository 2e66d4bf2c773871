package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

// aPreflight is what browsers ask before a DELETE.
var aPreflight = []string{
	"Origin: https://app.example", "Access-Control-Request-Method: DELETE",
	"Access-Control-Request-Headers: authorization",
}

// forwarding is a setup that forwards preflights.
func forwarding() setup {
	with := public()
	with.proxy.ForwardPreflights = true
	return with
}

func TestPreflightsAreDeniedUnlessSaid(t *testing.T) {
	t.Parallel()
	for name, credential := range credentials() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, public())
			res := s.dial(plain("OPTIONS /jobs", "", append(aPreflight, credential)...)).reply("OPTIONS")
			wantReply(t, res, http.StatusUnauthorized, "preflight_denied",
				"CORS preflights are not forwarded (TOLLBOOK_CORS_PREFLIGHT)")
			if got := res.Header.Get("Www-Authenticate"); got != `Bearer realm="tollbook"` {
				t.Errorf("got WWW-Authenticate %q, want the scheme alone", got)
			}
			if n := rec.hits(); n != 0 {
				t.Errorf("got %d requests upstream, want none", n)
			}
			wantRefused(t, s, 1)
			r := onlyOf(t, s.onDisk(), audit.Refused)
			if r.EventType != audit.EventAuthFailure || r.Reason != "preflight_denied" ||
				r.HTTPStatus != 401 ||
				r.TokenSHA256 != "" {
				t.Errorf("got %s %q %d, token %q", r.EventType, r.Reason, r.HTTPStatus, r.TokenSHA256)
			}
			if strings.Contains(string(s.text()), goodToken()) {
				t.Error("got the token in the trail")
			}
		})
	}
}

func TestForwardedPreflightsCarryNobody(t *testing.T) {
	t.Parallel()
	forged := []string{
		"X-User-ID: user_B", "XUserID: user_B", "X-Actor-ID: user_B", "X-User-Email: user_B",
		"X-Original-URL: user_B", "X-HTTP-Method-Override: user_B", "Connection: X-User-ID", webSocket,
	}
	for name, credential := range credentials() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			with := forwarding()
			with.proxy.ForwardAuthorization = name == "good"
			with.proxy.ReasonMethods = []string{"OPTIONS", "DELETE"}
			s := start(t, rec.addr, with)
			header := append(append(slices.Clone(forged), credential), aPreflight...)
			wantStatus(t, s.dial(plain("OPTIONS /jobs/a%2f..;?x", "", header...)).reply("OPTIONS"),
				http.StatusOK)
			got := rec.one(t)
			if line, _, _ := strings.Cut(got, "\r\n"); line != "OPTIONS /jobs/a%2f..;?x HTTP/1.1" {
				t.Errorf("got request line %q, want it as sent", line)
			}
			for _, secret := range []string{"user_B", userA, "Bearer", "Basic", "__session", "websocket"} {
				if strings.Contains(got, secret) {
					t.Errorf("got %q upstream in %q", secret, got)
				}
			}
			for _, line := range aPreflight {
				if !strings.Contains(got, line+"\r\n") {
					t.Errorf("got %q upstream, want %q in it", got, line)
				}
			}
			wantNobody(t, s)
		})
	}
}

// What is no preflight to the letter needs a token like everything else, whether
// preflights are forwarded or not.
func TestAlmostPreflightsNeedAToken(t *testing.T) {
	t.Parallel()
	origin, method := aPreflight[0], aPreflight[1]
	const chunked = "3\r\nabc\r\n0\r\n\r\n"
	almost := map[string]struct {
		line, body string
		header     []string
	}{
		"no origin":   {"OPTIONS /", "", []string{method}},
		"no method":   {"OPTIONS /", "", []string{origin}},
		"neither":     {"OPTIONS /", "", nil},
		"two origins": {"OPTIONS /", "", []string{origin, origin, method}},
		"two methods": {"OPTIONS /", "", []string{origin, method, method}},
		"content":     {"OPTIONS /", "abc", []string{origin, method, "Content-Length: 3"}},
		"chunks": {"OPTIONS /", chunked, []string{
			origin, method,
			"Transfer-Encoding: chunked",
		}},
		"no chunks": {"OPTIONS /", "0\r\n\r\n", []string{
			origin, method,
			"Transfer-Encoding: chunked",
		}},
		"GET":     {"GET /", "", aPreflight},
		"POST":    {"POST /", "", aPreflight},
		"options": {"options /", "", aPreflight},
		"overridden": {"POST /", "", append([]string{"X-HTTP-Method-Override: OPTIONS"},
			aPreflight...)},
		"other names":         {"OPTIONS /", "", []string{"X-Origin: x", method}},
		"everything, no mark": {"OPTIONS *", "", []string{origin}},
	}
	for setting, with := range map[string]setup{"denied": public(), "forwarded": forwarding()} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, with)
			for name, c := range almost {
				p := s.dial(plain(c.line, c.body, c.header...))
				res := p.reply("OPTIONS")
				if got := readAll(t, res.Body); !strings.Contains(got, `"token_missing"`) {
					t.Errorf("%s: got %d %q, want token_missing", name, res.StatusCode, got)
				}
				_ = p.Close()
			}
			if n := rec.hits(); n != 0 {
				t.Errorf("got %d requests upstream, want none: %q", n, rec.requests)
			}
			wantRefused(t, s, len(almost))
		})
	}
}

func TestOPTIONSThatAreNoPreflightsAreTheUsers(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{proxy: proxy.Config{ForwardPreflights: true}})
	wantStatus(t, s.dial(request("OPTIONS /jobs", "", aPreflight[0])).reply("OPTIONS"), http.StatusOK)
	if got := headerOf(rec.one(t), "X-User-ID"); !slices.Equal(got, []string{userA}) {
		t.Errorf("got X-User-ID %q, want %q", got, userA)
	}
}

// What is sent behind a preflight is a request of its own.
func TestNothingRidesOnAPreflight(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, forwarding())
	p := s.dial(plain("OPTIONS /jobs", "", aPreflight...) + plain("DELETE /jobs", "", aPreflight...))
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		res := p.reply("OPTIONS")
		wantStatus(t, res, want)
		readAll(t, res.Body)
	}
	if got := rec.one(t); strings.Contains(got, "DELETE /jobs") {
		t.Errorf("got %q upstream", got)
	}
}

func TestPreflightsAreTheSameOverHTTP2(t *testing.T) {
	t.Parallel()
	fields := []string{
		":method: OPTIONS", ":path: /jobs", ":scheme: http", ":authority: api.example",
		"origin: https://app.example", "access-control-request-method: DELETE",
		"authorization: Bearer " + goodToken(), "x-user-id: user_B",
	}
	rec := record(t, okReply)
	denied, forwarded := start(t, rec.addr, public()), start(t, rec.addr, forwarding())
	ask := func(s *sidecar, end byte, fields ...string) string {
		f := s.dialFields()
		defer f.Close()
		f.headers(1, end, fields...)
		if end == 0 {
			f.send(frameData, flagEndStream, 1, "abc")
		}
		return f.answer(1)
	}
	for name, got := range map[string]string{
		"denied":      ask(denied, flagEndStream, fields...),
		"two origins": ask(forwarded, flagEndStream, append(fields[:6:6], "origin: null")...),
		"content":     ask(forwarded, 0, fields[:6]...),
	} {
		if !strings.Contains(got, "preflight_denied") && !strings.Contains(got, "token_missing") {
			t.Errorf("%s: got %q, want it refused", name, got)
		}
	}
	if n := rec.hits(); n != 0 {
		t.Fatalf("got %d requests upstream, want none", n)
	}
	if got := ask(forwarded, flagEndStream, fields...); got != "ok" {
		t.Errorf("got %q, want ok", got)
	}
	got := rec.one(t)
	if strings.Contains(got, "user_B") || strings.Contains(got, userA) ||
		strings.Contains(got, "Bearer") {
		t.Errorf("got somebody upstream: %q", got)
	}
}
