package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestEveryMistakeOfPolicyHasItsCure(t *testing.T) {
	t.Parallel()
	const (
		cookies = "needs CLERK_AUTHORIZED_PARTIES: a browser sends cookies with what the pages of " +
			"other sites ask for too (CSRF), so it must be known whose may; set it"
		plain = ", which servers read differently; write a plain path such as /docs/"
	)
	checkMistakes(t, []mistake{
		{"TOLLBOOK_TOKEN_COOKIE=__session", cookies},
		{"TOLLBOOK_TOKEN_COOKIE=a b", `"a b" is not the name of a cookie, 64 characters at most; write e.g. __session`},
		{"TOLLBOOK_TOKEN_COOKIE=a=b", `"a=b" is not the name of a cookie, 64 characters at most; write e.g. __session`},
		{"TOLLBOOK_TOKEN_COOKIE=" + strings.Repeat("a", 65), `"` + strings.Repeat("a", 65) + `" is not the name of a cookie, 64 characters at most; write e.g. __session`},

		{"TOLLBOOK_ALLOW_HEADERS=X-A", `header "X-A" has letters, digits and dashes only and passes anyway; remove it`},
		{"TOLLBOOK_ALLOW_HEADERS=X A", `header "X A" is not a name that HTTP has, 64 characters at most; write e.g. X_Legacy_ID`},
		{"TOLLBOOK_ALLOW_HEADERS=X_é", `header "X_é" is not a name that HTTP has, 64 characters at most; write e.g. X_Legacy_ID`},
		{"TOLLBOOK_ALLOW_HEADERS=_", `header "_" is not a name that HTTP has, 64 characters at most; write e.g. X_Legacy_ID`},
		{"TOLLBOOK_ALLOW_HEADERS=x_user_id", `header "x_user_id" is an alias of TOLLBOOK_USER_ID_HEADER, so clients could send that; remove it`},
		{"TOLLBOOK_ALLOW_HEADERS=X.Mail", `header "X.Mail" is an alias of X-Mail, so clients could send that; remove it`},
		{"TOLLBOOK_ALLOW_HEADERS=X_Actor_ID", `header "X_Actor_ID" is an alias of X-Actor-ID, so clients could send that; remove it`},
		{"TOLLBOOK_ALLOW_HEADERS=x!request#id", `header "x!request#id" is an alias of X-Request-ID, so clients could send that; remove it`},
		{"TOLLBOOK_ALLOW_HEADERS=X_Change_Reason", `header "X_Change_Reason" is an alias of X-Change-Reason, so clients could send that; remove it`},
		{"TOLLBOOK_ALLOW_HEADERS=X_Forwarded_For", `header "X_Forwarded_For" is an alias of X-Forwarded-*, so clients could send that; remove it`},
		{"TOLLBOOK_ALLOW_HEADERS=Content_Length", `header "Content_Length" is an alias of Content-*, so clients could send that; remove it`},
		{"TOLLBOOK_ALLOW_HEADERS=Transfer_Encoding", `header "Transfer_Encoding" is an alias of Transfer-Encoding, so clients could send that; remove it`},

		{"TOLLBOOK_PUBLIC_ROUTES=/docs/", `route "/docs/": it has no method; write e.g. GET /docs/`},
		{"TOLLBOOK_PUBLIC_ROUTES=GET", `route "GET": it is not METHOD /path; write e.g. GET /docs/`},
		{"TOLLBOOK_PUBLIC_ROUTES=GET docs", `route "GET docs": it is not a pattern (at offset 4: host/path missing /); write e.g. GET /docs/`},
		{"TOLLBOOK_PUBLIC_ROUTES=get /docs", `route "get /docs": methods are upper case; write GET`},
		{"TOLLBOOK_PUBLIC_ROUTES=G(T /docs", `route "G(T /docs": "G(T" is not a method; write e.g. GET`},
		{"TOLLBOOK_PUBLIC_ROUTES=CONNECT /", `route "CONNECT /": CONNECT is never proxied; remove it`},
		{"TOLLBOOK_PUBLIC_ROUTES=trace /a", `route "trace /a": TRACE is never proxied; remove it`},
		{"TOLLBOOK_PUBLIC_ROUTES=TRACK /a", `route "TRACK /a": TRACK is never proxied; remove it`},
		{"TOLLBOOK_PUBLIC_ROUTES=GET api.example/docs/", `route "GET api.example/docs/": it names a host, and clients choose the Host; write GET /docs/`},
		{"TOLLBOOK_PUBLIC_ROUTES=GET  /docs", `route "GET  /docs": one blank stands behind the method; write GET /docs`},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a//b", `route "GET /a//b": its path has "//"` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET //a", `route "GET //a": its path has "//"` + plain},
		{`TOLLBOOK_PUBLIC_ROUTES=GET /a\b`, `route "GET /a\\b": its path has "\\"` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /docs/*", `route "GET /docs/*": its path has a *, which matches itself alone; write {name} for one segment, or end in a slash for all that is below`},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a;b", `route "GET /a;b": its path has ";"` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a%20b", `route "GET /a%20b": its path has "%"` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a?b", `route "GET /a?b": its path has "?"` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a b", `route "GET /a b": its path has " "` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /é", `route "GET /é": its path has "é"` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a/../b", `route "GET /a/../b": its path has the segment ".."` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a/.", `route "GET /a/.": its path has the segment "."` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /{a", `route "GET /{a": it is not a pattern (at offset 5: bad wildcard segment (must end with '}')); write e.g. GET /docs/`},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a/{x},GET /{y}/b", `"GET /a/{x}" and "GET /{y}/b" match the same requests, and neither is more specific; change or remove one`},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a//b,GET /a", `route "GET /a//b": its path has "//"` + plain},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /a,GET /a", `"GET /a" stands there twice; remove one`},

		{"TOLLBOOK_CORS_PREFLIGHT=allow", `"allow" is not a choice; write deny or forward`},
		{"TOLLBOOK_CORS_ORIGINS=*", `"*" would let the pages of every site read our replies; list each origin`},
		{"TOLLBOOK_CORS_ORIGINS=null", `"null" is what the sandboxed pages of every site send; list each origin`},
		{"TOLLBOOK_CORS_ORIGINS=https://*.example", `"https://*.example": wildcards are not matched; list each origin`},
		{"TOLLBOOK_CORS_ORIGINS=https://a.example/x", `"https://a.example/x" is not how an origin is sent; write https://a.example`},
		{"TOLLBOOK_CORS_ORIGINS=a.example", `"a.example" is not an origin; write e.g. https://app.example.com`},
		{"TOLLBOOK_CORS_ORIGINS=https://é.example", `"https://é.example" is not how an origin is sent; write its name in ASCII, xn--…`},

		{"TOLLBOOK_REASON_METHODS=delete", "methods are upper case; write DELETE"},
		{"TOLLBOOK_REASON_METHODS=TRACE", "TRACE is never proxied; remove it"},
		{"TOLLBOOK_REASON_METHODS=P@T", `"P@T" is not a method; write e.g. GET`},
	}, "TOLLBOOK_CLAIM_HEADERS=email=X-Mail")
}

func TestEveryMistakeOfProxiesAndTLSHasItsCure(t *testing.T) {
	t.Parallel()
	const forHTTPS = "is for an https upstream, and TOLLBOOK_UPSTREAM_URL is " +
		`"http://127.0.0.1:8000"; write https:// there, or unset this`
	checkMistakes(t, []mistake{
		{"TOLLBOOK_TRUSTED_PROXIES=10.0.0.1/8", `"10.0.0.1/8" has bits set behind its prefix; write 10.0.0.0/8`},
		{"TOLLBOOK_TRUSTED_PROXIES=fd00::1/64", `"fd00::1/64" has bits set behind its prefix; write fd00::/64`},
		{"TOLLBOOK_TRUSTED_PROXIES=::ffff:10.0.0.1", `"::ffff:10.0.0.1" is an IPv4 address in IPv6 form; write 10.0.0.1`},
		{"TOLLBOOK_TRUSTED_PROXIES=::ffff:10.0.0.1/104", `"::ffff:10.0.0.1/104" is an IPv4 address in IPv6 form; write 10.0.0.0/8`},
		{"TOLLBOOK_TRUSTED_PROXIES=0.0.0.0/0", `"0.0.0.0/0" is everybody, and everybody could then write the client's address; list your proxies alone`},
		{"TOLLBOOK_TRUSTED_PROXIES=::/0", `"::/0" is everybody, and everybody could then write the client's address; list your proxies alone`},
		{"TOLLBOOK_TRUSTED_PROXIES=10.0.0.0/0", `"10.0.0.0/0" is everybody, and everybody could then write the client's address; list your proxies alone`},
		{"TOLLBOOK_TRUSTED_PROXIES=::ffff:0.0.0.0/96", `"::ffff:0.0.0.0/96" is everybody, and everybody could then write the client's address; list your proxies alone`},
		{"TOLLBOOK_TRUSTED_PROXIES=fe80::1%eth0", `"fe80::1%eth0" has a zone, which is not looked at; write fe80::1`},
		{"TOLLBOOK_TRUSTED_PROXIES=0.0.0.0", `"0.0.0.0" is nobody's address; write e.g. 127.0.0.1`},
		{"TOLLBOOK_TRUSTED_PROXIES=lb.example", `"lb.example" is not an IP address, a CIDR or the word unix; write e.g. 10.0.0.0/8`},
		{"TOLLBOOK_TRUSTED_PROXIES=10.0.0.0/33", `"10.0.0.0/33" is not an IP address, a CIDR or the word unix; write e.g. 10.0.0.0/8`},
		{"TOLLBOOK_TRUSTED_PROXIES=10.0.0.7,", "an item is empty; remove the comma beside it"},
		{"TOLLBOOK_TRUSTED_PROXIES=10.0.0.7,10.0.0.7/32", `"10.0.0.7/32" stands there twice; remove one`},
		{"TOLLBOOK_TRUSTED_PROXIES=unix", "unix is whoever connects to a Unix socket, and TOLLBOOK_LISTEN_ADDR is :8080; list addresses, or listen on unix:///path"},

		{"TOLLBOOK_TLS_CERT_FILE=/a", "needs TOLLBOOK_TLS_KEY_FILE beside it; set both or neither"},
		{"TOLLBOOK_TLS_KEY_FILE=/a", "needs TOLLBOOK_TLS_CERT_FILE beside it; set both or neither"},
		{"TOLLBOOK_TLS_KEY_FILE=file:///a", `"file:///a" is a URL, not a file; write the path of a PEM file`},
		{"TOLLBOOK_UPSTREAM_CA_FILE=/a", forHTTPS},
		{"TOLLBOOK_UPSTREAM_CA_FILE=https://a/ca.pem", `"https://a/ca.pem" is a URL, not a file; write the path of a PEM file`},
	})
	checkMistakes(t, []mistake{
		{"TOLLBOOK_UPSTREAM_CERT_FILE=/a", "needs TOLLBOOK_UPSTREAM_KEY_FILE beside it; set both or neither"},
		{"TOLLBOOK_UPSTREAM_KEY_FILE=/a", "needs TOLLBOOK_UPSTREAM_CERT_FILE beside it; set both or neither"},
	}, "TOLLBOOK_UPSTREAM_URL=https://127.0.0.1")
	equal(t, "all without https", mistakesIn(t, t.TempDir(), "", with("TOLLBOOK_UPSTREAM_CA_FILE=a",
		"TOLLBOOK_UPSTREAM_CERT_FILE=b", "TOLLBOOK_UPSTREAM_KEY_FILE=c")...), []string{
		"TOLLBOOK_UPSTREAM_CA_FILE: " + forHTTPS, "TOLLBOOK_UPSTREAM_CERT_FILE: " + forHTTPS,
		"TOLLBOOK_UPSTREAM_KEY_FILE: " + forHTTPS,
	})
}

func TestEveryMistakeOfLimitsHasItsCure(t *testing.T) {
	t.Parallel()
	checkMistakes(t, []mistake{
		{"TOLLBOOK_MAX_BODY_BYTES=-1", `"-1" is out of range; write 0 to 1048576GiB`},
		{"TOLLBOOK_MAX_BODY_BYTES=10MB", `"10MB" is not a size; write a whole number with KiB, MiB or GiB, e.g. 100MiB`},
		{"TOLLBOOK_MAX_HEADER_BYTES=4095", `"4095" is out of range; write 4KiB to 1MiB`},
		{"TOLLBOOK_MAX_HEADER_BYTES=2MiB", `"2MiB" is out of range; write 4KiB to 1MiB`},
		{"TOLLBOOK_MAX_IN_FLIGHT=0", `"0" is out of range; write 1 to 1000000`},
		{"TOLLBOOK_MAX_IN_FLIGHT=1000001", `"1000001" is out of range; write 1 to 1000000`},
		{"TOLLBOOK_MAX_IN_FLIGHT=99999999999999999999", `"99999999999999999999" is out of range; write 1 to 1000000`},
		{"TOLLBOOK_MAX_IN_FLIGHT=1k", `"1k" is not a whole number; write e.g. 1024`},
		{"TOLLBOOK_MAX_STREAMS=0", `"0" is out of range; write 1 to 1000000`},
		{"TOLLBOOK_MAX_STREAMS=-5", `"-5" is out of range; write 1 to 1000000`},
		{"TOLLBOOK_MAX_STREAMS=1.5", `"1.5" is not a whole number; write e.g. 4096`},
		{"TOLLBOOK_READ_HEADER_TIMEOUT=0", `"0" is out of range; write 1ms to 5m`},
		{"TOLLBOOK_IDLE_TIMEOUT=2h", `"2h" is out of range; write 1ms to 1h`},
		{"TOLLBOOK_STALL_TIMEOUT=0s", `"0s" is out of range; write 1ms to 1h`},
		{"TOLLBOOK_STREAM_LIFETIME=999ms", `"999ms" is out of range; write 1s to 720h, or 0 for no limit`},
		{"TOLLBOOK_STREAM_LIFETIME=-1s", `"-1s" is out of range; write 1s to 720h, or 0 for no limit`},
		{"TOLLBOOK_STREAM_LIFETIME=721h", `"721h" is out of range; write 1s to 720h, or 0 for no limit`},
		{"TOLLBOOK_STREAM_LIFETIME=Token", `"Token" is neither a duration nor the word token; write e.g. 1h, or 0 for no limit`},
	})
}

func TestEverySettingOfPolicyIsTaken(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, with("CLERK_AUTHORIZED_PARTIES=https://a.example",
		"TOLLBOOK_UPSTREAM_URL=https://127.0.0.1", "TOLLBOOK_UPSTREAM_CA_FILE=ca",
		"TOLLBOOK_UPSTREAM_CERT_FILE=cert", "TOLLBOOK_UPSTREAM_KEY_FILE=key",
		"TOLLBOOK_TLS_CERT_FILE=c", "TOLLBOOK_TLS_KEY_FILE=k",
		"TOLLBOOK_TOKEN_COOKIE=__session", "TOLLBOOK_ALLOW_HEADERS=X_Legacy_ID, x.trace",
		"TOLLBOOK_PUBLIC_ROUTES=GET /health, GET /docs/,POST /hooks/{name},GET /{$},GET /f/{path...}",
		"TOLLBOOK_CORS_PREFLIGHT=forward",
		"TOLLBOOK_CORS_ORIGINS=https://a.example,http://localhost:3000,chrome-extension://abc",
		"TOLLBOOK_REASON_METHODS=PUT,DELETE", "TOLLBOOK_MAX_BODY_BYTES=10MiB",
		"TOLLBOOK_MAX_HEADER_BYTES=4KiB", "TOLLBOOK_MAX_IN_FLIGHT=1000000", "TOLLBOOK_MAX_STREAMS=1",
		"TOLLBOOK_READ_HEADER_TIMEOUT=1ms", "TOLLBOOK_IDLE_TIMEOUT=1h", "TOLLBOOK_STALL_TIMEOUT=2s",
		"TOLLBOOK_STREAM_LIFETIME=720h")...)
	equal(t, "CA", cfg.Upstream.CAFile, "ca")
	equal(t, "upstream certificate", cfg.Upstream.CertFile, "cert")
	equal(t, "upstream key", cfg.Upstream.KeyFile, "key")
	equal(t, "TLS", cfg.TLS, tlsConfig{"c", "k"})
	equal(t, "cookie", cfg.TokenCookie, "__session")
	equal(t, "allowed headers", cfg.AllowHeaders, []string{"X_Legacy_ID", "x.trace"})
	equal(t, "public routes", cfg.PublicRoutes, []string{
		"GET /health", "GET /docs/", "POST /hooks/{name}", "GET /{$}", "GET /f/{path...}",
	})
	equal(t, "preflights forwarded", cfg.CORS.forwardPreflights(), true)
	equal(t, "origins", cfg.CORS.Origins,
		[]string{"https://a.example", "http://localhost:3000", "chrome-extension://abc"})
	equal(t, "reason methods", cfg.ReasonMethods, []string{"PUT", "DELETE"})
	equal(t, "limits", cfg.Limits, limitsConfig{
		MaxBodyBytes: 10 << 20, MaxHeaderBytes: 4 << 10, MaxInFlight: 1e6, MaxStreams: 1,
		ReadHeaderTimeout: time.Millisecond, IdleTimeout: time.Hour, StallTimeout: 2 * time.Second,
		StreamLifetime: streamLifetime{Duration: 720 * time.Hour},
	})
}

func TestTrustedProxiesAreTakenAndPrintAsSet(t *testing.T) {
	t.Parallel()
	const socket = "TOLLBOOK_LISTEN_ADDR=unix:///run/t.sock"
	for _, c := range []struct {
		listen, set, printed string
		want                 trustedProxies
	}{
		{
			"", "10.0.0.0/8, 192.0.2.7,fd00::/8,::1/128", "10.0.0.0/8,192.0.2.7,fd00::/8,::1",
			trustedProxies{Prefixes: []netip.Prefix{
				netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"),
				netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::1/128"),
			}},
		},
		{socket, "unix", "unix", trustedProxies{Unix: true}},
		{socket, "unix,10.0.0.0/8", "10.0.0.0/8,unix", trustedProxies{
			Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Unix: true,
		}},
	} {
		cfg, _, warnings, err := loadConfig(
			with(c.listen, "TOLLBOOK_TRUSTED_PROXIES="+c.set), t.TempDir(), "")
		if err != nil || warnings != nil {
			t.Errorf("%s: %v %v", c.set, err, warnings)
		}
		equal(t, c.set, cfg.TrustedProxies, c.want)
		equal(t, c.set+" printed", cfg.TrustedProxies.String(), c.printed)
	}
	_, _, warnings, err := loadConfig(
		with(socket, "TOLLBOOK_TRUSTED_PROXIES=10.0.0.7"), t.TempDir(), "")
	equal(t, "addresses behind a socket", fmt.Sprint(err, warnings), "<nil> ["+
		"TOLLBOOK_TRUSTED_PROXIES: has no effect: whoever connects to a Unix socket "+
		"has no address; add unix to trust them]")
}

func TestStreamLifetimesPrintAsSet(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]streamLifetime{
		"0": {}, "1s": {Duration: time.Second}, "token": {Token: true},
	} {
		got := mustLoad(t, with("TOLLBOOK_STREAM_LIFETIME="+set)...).Limits.StreamLifetime
		equal(t, set, got, want)
		equal(t, set+" printed", got.String(), set)
	}
}

// TestFilesOfKeysHaveNoTwin: names that end in _FILE are settings like others.
func TestFilesOfKeysHaveNoTwin(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"TOLLBOOK_TLS_KEY", "TOLLBOOK_UPSTREAM_KEY", "TOLLBOOK_TLS_KEY_FILE_FILE",
	} {
		got := mistakesIn(t, t.TempDir(), "", with(name+"=a")...)
		if len(got) != 1 || !strings.Contains(got[0], "there is no such setting") {
			t.Errorf("%s: got %q, want no such setting", name, got)
		}
	}
}

// TestDigestFollowsSettingsThatNeedOthers is for those that can't be set alone.
func TestDigestFollowsSettingsThatNeedOthers(t *testing.T) {
	t.Parallel()
	others := with(httpsUpstream, "CLERK_AUTHORIZED_PARTIES=https://a.example",
		"TOLLBOOK_UPSTREAM_CERT_FILE=a", "TOLLBOOK_UPSTREAM_KEY_FILE=a",
		"TOLLBOOK_TLS_CERT_FILE=a", "TOLLBOOK_TLS_KEY_FILE=a")
	seen := map[string]string{mustLoad(t, others...).digest(): "nothing"}
	for name := range exampleNeeds {
		digest := mustLoad(t, append(others, name+"=b")...).digest()
		if other, ok := seen[digest]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[digest] = name
	}
}
