package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tollbook/proxy/clerk"
)

// TestEveryMistakeHasItsCure sets one wrong value beside what is required. The
// message begins with the variable that was set, unless it names another.
func TestEveryMistakeHasItsCure(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 104)
	checkMistakes(t, []mistake{
		// Text of any type.
		{`TOLLBOOK_LOG_LEVEL="debug"`, "the value stands in quotes, which docker's --env-file keeps; remove them"},
		{"TOLLBOOK_LOG_LEVEL='debug'", "the value stands in quotes, which docker's --env-file keeps; remove them"},
		{"TOLLBOOK_LOG_LEVEL=debug ", "the value begins or ends with white space; remove it"},
		{"TOLLBOOK_AUDIT_DIR=a\nb", "the value holds a line break or control character; remove it"},
		{"TOLLBOOK_LOG_LEVEL=trace", `"trace" is not a choice; write debug or info or warn or error`},
		{"TOLLBOOK_AUDIT_DURABILITY=off", `"off" is not a choice; write fsync or os`},
		{"CLERK_IMPERSONATION=maybe", `"maybe" is not a choice; write allow or deny`},
		{"CLERK_TOKEN_TYPES=template", `"template" is not a choice; write session or session,template`},
		{"CLERK_ACCEPT_PENDING=yes", `"yes" is neither true nor false; write one of them`},
		{"TOLLBOOK_DRAIN_TIMEOUT=abc", `"abc" is not a duration; write e.g. 8s`},
		{"TOLLBOOK_DRAIN_TIMEOUT=8", `"8" is not a duration; write e.g. 8s`},
		{"TOLLBOOK_DRAIN_TIMEOUT=0s", `"0s" is out of range; write 1ms to 1h`},
		{"TOLLBOOK_DRAIN_DELAY=-1s", `"-1s" is out of range; write 0s to 10m`},
		{"TOLLBOOK_UPSTREAM_DIAL_TIMEOUT=6m", `"6m" is out of range; write 1ms to 5m`},
		{"TOLLBOOK_UPSTREAM_HEADER_TIMEOUT=60h", `"60h" is out of range; write 1ms to 1h`},
		{"CLERK_LEEWAY=5m1s", `"5m1s" is out of range; write 0s to 5m`},
		{"CLERK_LEEWAY=-1s", `"-1s" is out of range; write 0s to 5m`},
		{"CLERK_JWKS_REFRESH=999ms", `"999ms" is out of range; write 1s to 24h`},

		// Clerk.
		{"CLERK_JWT_AUDIENCE=my-api", "must be unset: Clerk's session tokens have no aud claim, and it would not be checked; remove it"},
		{"CLERK_JWKS_URL=jwks.json", `"jwks.json" is not a URL; write e.g. https://keys.example.com/jwks.json`},
		{"CLERK_JWKS_URL=ftp://a/b?key=x", `"ftp://a/b" is not an https URL of a key set; write e.g. https://keys.example.com/jwks.json`},
		{"CLERK_JWKS_URL=http://keys.example/jwks?key=x", `"http://keys.example/jwks" is plain http to another machine, so keys could be replaced on the way; write https://`},
		{"CLERK_JWKS_URL=http://10.0.0.7:80/jwks", `"http://10.0.0.7:80/jwks" is plain http to another machine, so keys could be replaced on the way; write https://`},
		{"CLERK_JWKS_URL=http://localhost.example/jwks", `"http://localhost.example/jwks" is plain http to another machine, so keys could be replaced on the way; write https://`},
		{"CLERK_JWKS_URL=https://me:pw@a/b", "a URL with user info is not taken; write e.g. https://keys.example.com/jwks.json"},
		{"CLERK_JWKS_FILE=https://a/b", `"https://a/b" is a URL, not a file; set CLERK_JWKS_URL instead`},
		{"CLERK_AUTHORIZED_PARTIES=https://a.example/", `"https://a.example/" is not how an origin is sent; write https://a.example`},
		{"CLERK_AUTHORIZED_PARTIES=https://A.example:443", `"https://A.example:443" is not how an origin is sent; write https://a.example`},
		{"CLERK_AUTHORIZED_PARTIES=a.example", `"a.example" is not an origin; write e.g. https://app.example.com`},
		{"CLERK_AUTHORIZED_PARTIES=https://a.example b", `"https://a.example b" is not an origin; write e.g. https://app.example.com`},
		{"CLERK_AUTHORIZED_PARTIES=https://*.example", `"https://*.example": wildcards are not matched; list each origin`},
		{"CLERK_AUTHORIZED_PARTIES=https://a.example,", "an item is empty; remove the comma beside it"},
		{"CLERK_AUTHORIZED_PARTIES=https://a.example,https://a.example", `"https://a.example" stands there twice; remove one`},
		{"CLERK_AUTHORIZED_PARTIES=a" + strings.Repeat(",a", 64), "65 items are too many; write 64 at most"},
		{"CLERK_LEEWAY=" + strings.Repeat("9", 130), `"` + strings.Repeat("9", 120) + `"… is not a duration; write e.g. 10s`},
		{"CLERK_SECRET_KEY=hunter2", "is not a Clerk secret key; write the whole sk_test_… or sk_live_…, without quotes or spaces"},
		{"CLERK_API_URL=http://api.example/v1", `"http://api.example/v1" is not an https URL without a slash at its end; write e.g. https://api.clerk.com/v1`},
		{"CLERK_API_URL=https://api.example/v1/", `"https://api.example/v1/" is not an https URL without a slash at its end; write e.g. https://api.clerk.com/v1`},

		// Upstream and listeners.
		{"TOLLBOOK_UPSTREAM_URL=localhost:8000", `"localhost:8000" is not a URL; write e.g. http://127.0.0.1:8000`},
		{"TOLLBOOK_UPSTREAM_URL=ftp://a", `"ftp" is no scheme for an upstream; write http://, https://, h2c:// or unix:///path`},
		{"TOLLBOOK_UPSTREAM_URL=http://me:pw@a", "a URL with user info is not taken; write e.g. http://127.0.0.1:8000"},
		{"TOLLBOOK_UPSTREAM_URL=http://127.0.0.1:8000/api", "requests keep their own path and query; write http://127.0.0.1:8000"},
		{"TOLLBOOK_UPSTREAM_URL=http://127.0.0.1:8000?", "requests keep their own path and query; write http://127.0.0.1:8000"},
		{"TOLLBOOK_UPSTREAM_URL=http://:8000", `":8000" is not host or host:port`},
		{"TOLLBOOK_UPSTREAM_URL=http://a:70000", `"a:70000" is not host or host:port`},
		{"TOLLBOOK_UPSTREAM_URL=unix://run/api.sock", "a unix upstream is a path alone; write unix:///path"},
		{"TOLLBOOK_UPSTREAM_URL=unix:///", `"unix:///" is not the absolute path of a socket; write unix:///path`},
		{"TOLLBOOK_UPSTREAM_URL=http://localhost:8080", `"http://localhost:8080" is our own TOLLBOOK_LISTEN_ADDR, so requests would come back; write where the protected API listens`},
		{"TOLLBOOK_UPSTREAM_URL=http://127.0.0.1:9090", `"http://127.0.0.1:9090" is our own TOLLBOOK_ADMIN_ADDR; write where the protected API listens`},
		{"TOLLBOOK_UPSTREAM_HOST=http://a", `"http://a" is not host or host:port`},
		{"TOLLBOOK_UPSTREAM_HOST=a b", `"a b" is not host or host:port`},
		{"TOLLBOOK_LISTEN_ADDR=8080", `"8080" is not host:port; write host:port such as :8080, or unix:///path`},
		{"TOLLBOOK_LISTEN_ADDR=:http", `":http" has no port from 0 to 65535; write host:port such as :8080, or unix:///path`},
		{"TOLLBOOK_LISTEN_ADDR=:-0", `":-0" has no port from 0 to 65535; write host:port such as :8080, or unix:///path`},
		{"TOLLBOOK_LISTEN_ADDR=:+1", `":+1" has no port from 0 to 65535; write host:port such as :8080, or unix:///path`},
		{"TOLLBOOK_LISTEN_ADDR=:65536", `":65536" has no port from 0 to 65535; write host:port such as :8080, or unix:///path`},
		{"TOLLBOOK_LISTEN_ADDR=a/b:80", `"a/b:80" has no host name or IP address; write host:port such as :8080, or unix:///path`},
		{"TOLLBOOK_LISTEN_ADDR=unix://a.sock", `"unix://a.sock" is not the absolute path of a socket; write unix:///path`},
		{"TOLLBOOK_LISTEN_ADDR=unix:///run//a.sock", "the path of the socket is not clean; write unix:///run/a.sock"},
		{"TOLLBOOK_LISTEN_ADDR=unix:///" + long, "the path of the socket has 105 bytes; write 103 at most"},
		{"TOLLBOOK_ADMIN_ADDR=unix:///a", `"unix:///a" has no port from 0 to 65535; write host:port such as 127.0.0.1:9090`},
		{"TOLLBOOK_ADMIN_ADDR=127.0.0.1:8080", `"127.0.0.1:8080" is taken by TOLLBOOK_LISTEN_ADDR (:8080); write another port`},

		// Headers.
		{"TOLLBOOK_USER_ID_HEADER=X_User", `header "X_User" is not a name of letters, digits and dashes, 64 at most; write e.g. X-User-ID`},
		{"TOLLBOOK_USER_ID_HEADER=-", `header "-" is not a name of letters, digits and dashes, 64 at most; write e.g. X-User-ID`},
		{"TOLLBOOK_USER_ID_HEADER=Authorization", `header "Authorization" has a meaning of its own; write another name, e.g. X-User-ID`},
		{"TOLLBOOK_CLAIM_HEADERS=email=Content-Type", `header "Content-Type" has a meaning of its own; write another name, e.g. X-User-ID`},
		{"TOLLBOOK_CLAIM_HEADERS=email=xForwarded-For", `header "xForwarded-For" has a meaning of its own; write another name, e.g. X-User-ID`},
		{"TOLLBOOK_CLAIM_HEADERS=email", `"email" is not claim=Header; write e.g. email=X-User-Email`},
		{"TOLLBOOK_CLAIM_HEADERS=é=X-E", `claim "é" is not a name of printable ASCII, 64 at most`},
		{"TOLLBOOK_CLAIM_HEADERS=sid=XUser-ID", `header "XUser-ID" is an alias of TOLLBOOK_USER_ID_HEADER; write another name`},
		{"TOLLBOOK_CLAIM_HEADERS=a=X-A,b=XA", `header "XA" is an alias of X-A; write another name`},
		{"TOLLBOOK_CLAIM_HEADERS=a=X-A,a=X-B", `claim "a" has two headers, X-A and X-B; keep one`},

		// The trail.
		{"TOLLBOOK_AUDIT_EVENTS=Submit=POST /jobs", `event "Submit" is not a name of a-z, 0-9 and _, 64 at most`},
		{"TOLLBOOK_AUDIT_EVENTS=system=POST /jobs", `event "system" is a name that the trail gives itself; write another`},
		{"TOLLBOOK_AUDIT_EVENTS=list=get /jobs", `event "list": methods are upper case; write GET`},
		{"TOLLBOOK_AUDIT_EVENTS=list=GET jobs", `event "list": "GET jobs" is not a pattern (at offset 4: host/path missing /); write e.g. GET /jobs/{job_id}`},
		{"TOLLBOOK_AUDIT_EVENTS=a=GET jobs,b=GET /x", `event "a": "GET jobs" is not a pattern (at offset 4: host/path missing /); write e.g. GET /jobs/{job_id}`},
		{"TOLLBOOK_AUDIT_EVENTS=POST /jobs", `"POST /jobs" is not name=METHOD /path; write e.g. submit=POST /jobs,list=GET /jobs,status=GET /jobs/{job_id},cancel=DELETE /jobs/{job_id}`},
		{"TOLLBOOK_AUDIT_EVENTS=a=GET /a/{x},b=GET /{y}/b", `"a=GET /a/{x}" and "b=GET /{y}/b" match the same requests, and neither is more specific; change or remove one`},
		{"TOLLBOOK_AUDIT_MIN_FREE=-1", `"-1" is out of range; write 0 to 1048576GiB`},
		{"TOLLBOOK_AUDIT_MIN_FREE=17179869185GiB", `"17179869185GiB" is out of range; write 0 to 1048576GiB`},
		{"TOLLBOOK_AUDIT_MIN_FREE=-17179869183GiB", `"-17179869183GiB" is out of range; write 0 to 1048576GiB`},
		{"TOLLBOOK_AUDIT_MIN_FREE=1GB", `"1GB" is not a size; write a whole number with KiB, MiB or GiB, e.g. 64MiB`},
		{"TOLLBOOK_AUDIT_RESPONSE_FIELDS=a b", `"a b" is not a name of letters, digits, _ . and -, 64 at most`},
		{"TOLLBOOK_AUDIT_RESPONSE_FIELDS=a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "17 fields are too many; write 16 at most"},

		// Names.
		{"TOLLBOOK_LISTEN_ADR=:80", "there is no such setting; did you mean TOLLBOOK_LISTEN_ADDR?"},
		{"TOLLBOOK_CLERK_ISSUER=x", "there is no such setting; did you mean CLERK_ISSUER?"},
		{
			"TOLLBOOK_ADMIN_SERVICE_HOST=10.0.0.1", "there is no such setting; did you mean TOLLBOOK_UPSTREAM_HOST? " +
				"If Kubernetes sets it for a Service, give the pod enableServiceLinks: false",
		},
		{"TOLLBOOK_UPSTREAM=x", "there is no such setting; did you mean TOLLBOOK_UPSTREAM_URL?"},
	})
}

// mistake is a setting with its wrong value, and what is said of it.
type mistake struct{ set, want string }

// checkMistakes sets each beside what is required, and beside more.
func checkMistakes(t *testing.T, mistakes []mistake, more ...string) {
	t.Helper()
	for _, c := range mistakes {
		name, _, _ := strings.Cut(c.set, "=")
		got := mistakesIn(t, t.TempDir(), "", append(with(more...), c.set)...)
		if want := []string{name + ": " + c.want}; !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", c.set, got, want)
		}
	}
}

func TestKeySourcesAndIssuer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	note := fmt.Sprintf("no .env.local was found in %q", dir)
	for name, c := range map[string]struct {
		set  []string
		want string // how the only mistake begins
	}{
		"nothing": {nil, "CLERK_ISSUER: there is no key to check tokens with, and no issuer to fetch " +
			"keys from; write your Clerk Frontend API URL, e.g. https://example.clerk.accounts.dev, " +
			"or set CLERK_PUBLISHABLE_KEY; " + note},
		"a key alone": {
			[]string{"CLERK_PEM_PUBLIC_KEY=" + testPEM()},
			"CLERK_ISSUER: a key alone does not say whose tokens are good; write your Clerk Frontend " +
				"API URL, e.g. https://example.clerk.accounts.dev, or set CLERK_PUBLISHABLE_KEY; " + note,
		},
		"two sources": {
			[]string{"CLERK_ISSUER=" + testIssuer, "CLERK_PEM_PUBLIC_KEY=" + testPEM(), "CLERK_JWKS_FILE=/a"},
			"CLERK_PEM_PUBLIC_KEY: CLERK_PEM_PUBLIC_KEY and CLERK_JWKS_FILE are set, and keys have one " +
				"source; unset all but one",
		},
		"another issuer": {
			[]string{"CLERK_ISSUER=https://a.example", "CLERK_PUBLISHABLE_KEY=" + testPublishableKey},
			`CLERK_ISSUER: "https://a.example" is not the issuer in CLERK_PUBLISHABLE_KEY, which is ` +
				`"https://example.clerk.accounts.dev"; correct one of the two, or unset it`,
		},
		"slash":       {[]string{"CLERK_ISSUER=" + testIssuer + "/"}, "CLERK_ISSUER: issuer "},
		"bad key":     {[]string{"CLERK_PUBLISHABLE_KEY=pk_test_x"}, "CLERK_PUBLISHABLE_KEY: publishable key "},
		"bad PEM":     {[]string{"CLERK_ISSUER=" + testIssuer, "CLERK_PEM_PUBLIC_KEY=hunter2"}, "CLERK_PEM_PUBLIC_KEY: PEM "},
		"PEM for iss": {[]string{"CLERK_ISSUER=" + strings.Split(testPEM(), "\n")[0]}, "CLERK_ISSUER: the value looks like a key, and is not shown"},
	} {
		got := mistakesIn(t, dir, "", append(c.set, "TOLLBOOK_UPSTREAM_URL=http://127.0.0.1:1")...)
		if len(got) != 1 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// TestKeySetURLsAreJudgedAsClerkJudgesThem holds the check made here, with its
// cure, to the one that counts.
func TestKeySetURLsAreJudgedAsClerkJudgesThem(t *testing.T) {
	t.Parallel()
	done, cancel := context.WithCancel(t.Context())
	cancel() // nothing is fetched
	for u, good := range map[string]bool{
		"https://127.0.0.1:1/jwks": true, "http://127.0.0.1:1/jwks": true,
		"http://localhost:1/jwks": true, "http://[::1]:1/jwks": true,
		"http://[::ffff:127.0.0.1]:1/jwks": true, "http://10.0.0.7/jwks": false,
		"http://keys.example/jwks": false, "http://localhost.example/jwks": false,
		"http://0.0.0.0/jwks": false, "http://[::]/jwks": false, "http://[::1%25lo]/jwks": false,
		"http://127.1/jwks": false, "http://a@127.0.0.1:1/jwks": false, "ftp://127.0.0.1/jwks": false,
		"https:///jwks": false, "https://127.0.0.1:1/jwks#a": false,
	} {
		_, _, _, err := loadConfig(with("CLERK_JWKS_URL="+u), t.TempDir(), "")
		equal(t, u+" taken here", err == nil, good)
		v, err := clerk.New(done, clerk.Config{Issuer: testIssuer, Keys: clerk.KeyConfig{URL: u}})
		equal(t, u+" taken by clerk", err == nil, good)
		if err == nil {
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestUpstreamMustNotBeTollbookItself(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listen, upstream string }{
		{":443", "https://localhost"},
		{"127.0.0.1:80", "http://0.0.0.0"},
		{"proxy:80", "h2c://Proxy"},
		{"unix:///run/a.sock", "unix:///run/a.sock"},
	} {
		got := mistakesIn(t, t.TempDir(), "",
			with("TOLLBOOK_LISTEN_ADDR="+c.listen, "TOLLBOOK_UPSTREAM_URL="+c.upstream)...)
		want := fmt.Sprintf("TOLLBOOK_UPSTREAM_URL: %q is our own TOLLBOOK_LISTEN_ADDR, so requests "+
			"would come back; write where the protected API listens", c.upstream)
		equal(t, c.upstream, got, []string{want})
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, _, _, err := loadConfig([]string{
		"TOLLBOOK_ZZ=1", "TOLLBOOK_LOG_LEVEL=loud", "TOLLBOOK_DRAIN_TIMEOUT=abc", "CLERK_LEEWAY=9m",
		"TOLLBOOK_USER_ID_HEADER=Host", "CLERK_ISSUER=" + testIssuer, "CLERK_JWT_AUDIENCE=x",
		"CLERK_JWKS_URL=nowhere",
	}, t.TempDir(), "")
	lines := strings.Split(fmt.Sprint(err), "\n")
	var names []string
	for _, line := range lines[1:] {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "  "), ":")
		names = append(names, name)
	}
	equal(t, "heading", lines[0], "configuration: 8 mistakes")
	equal(t, "names", names, []string{
		"CLERK_JWKS_URL", "CLERK_LEEWAY", "CLERK_JWT_AUDIENCE", "TOLLBOOK_UPSTREAM_URL",
		"TOLLBOOK_USER_ID_HEADER", "TOLLBOOK_DRAIN_TIMEOUT", "TOLLBOOK_LOG_LEVEL", "TOLLBOOK_ZZ",
	})
}

func TestNamesThatAreNotOursAreLeftAlone(t *testing.T) {
	t.Parallel()
	base := mustLoad(t, required...)
	for _, set := range []string{
		"TOLLBOOK_SERVICE_HOST=10.0.0.1", "TOLLBOOK_SERVICE_PORT=80", "TOLLBOOK_SERVICE_PORT_HTTP=80",
		"TOLLBOOK_PORT=tcp://10.0.0.1:80", "TOLLBOOK_PORT_80_TCP_ADDR=10.0.0.1",
		"CLERK_SIGN_IN_URL=/sign-in", "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY=x", "TOLLBOOKS=1", "=C:=x", "0_=x",
	} {
		equal(t, set, mustLoad(t, with(set)...), base)
	}
}

func TestUnknownNamesInAFileAreMistakesToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, ".env.local", "TOLLBOOK_DRAIN_TIME=8s\n")
	equal(t, "mistakes", mistakesIn(t, dir, "", required...), []string{
		"TOLLBOOK_DRAIN_TIME: there is no such setting; did you mean TOLLBOOK_DRAIN_TIMEOUT?",
	})
}

func TestUnreadableFileIsTheOnlyMistake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.env")
	equal(t, "missing", mistakesIn(t, dir, "missing.env"),
		[]string{"environment file: open " + missing + ": no such file or directory"})
	large := writeFile(t, dir, "large.env", strings.Repeat("#", maxEnvFile+1))
	equal(t, "large", mistakesIn(t, dir, large),
		[]string{fmt.Sprintf("environment file: %q is larger than 65536 bytes", large)})
}

func TestMalformedFileIsNamedByLineAndNotQuoted(t *testing.T) {
	t.Parallel()
	const cure = "put a value of several lines, such as a PEM, in double quotes"
	for text, where := range map[string]string{
		"A=1\n\nB hunter2\nC=3\n":                     "line 3 is",
		"A=1\nB=\"hunter2\nC=3\n":                     "line 2 is",
		"# x\nA=" + testPEM() + "B=1\n":               "line 3 is",
		"A=1\nhunter2":                                "one line is",
		"A=1\nhunter2 B=1\n":                          "one line is",
		"\xff\xfeA\x00=\x00hunter2\x00":               "line 1 is",
		"A=\"x\ny\"\nB='z'\n+hunter2=1\nC=\"more\"\n": "line 4 is",
	} {
		dir := t.TempDir()
		path := writeFile(t, dir, ".env.local", text)
		want := fmt.Sprintf("environment file %q: %s not NAME=value; %s", path, where, cure)
		equal(t, text, mistakesIn(t, dir, "", required...), []string{want})
	}
}

func TestADollarThatWouldBeExpandedIsAMistake(t *testing.T) {
	t.Parallel()
	for text, where := range map[string]string{
		"TOLLBOOK_AUDIT_DIR=/a$POD/b":               "line 1: TOLLBOOK_AUDIT_DIR",
		"TOLLBOOK_AUDIT_DIR=/a${POD}/b":             "line 1: TOLLBOOK_AUDIT_DIR",
		"TOLLBOOK_AUDIT_DIR=/a$(POD)/b":             "line 1: TOLLBOOK_AUDIT_DIR",
		"POD=x\n\n# $A\nTOLLBOOK_AUDIT_DIR=/a$POD":  "line 4: TOLLBOOK_AUDIT_DIR",
		"A=\"x\ny\"\r\nTOLLBOOK_AUDIT_DIR=\"$POD\"": "line 3: TOLLBOOK_AUDIT_DIR",
		"export CLERK_API_URL = hunter2$A":          "line 1: CLERK_API_URL",
		"A='$B'\nCLERK_API_URL: \"\nhunter2$B\n\"":  "line 2: CLERK_API_URL",
	} {
		dir := t.TempDir()
		path := writeFile(t, dir, ".env.local", text)
		want := fmt.Sprintf("environment file %q: %s has a $ that would be expanded; "+
			"write it without $, or set it in the process environment", path, where)
		equal(t, text, mistakesIn(t, dir, "", required...), []string{want})
	}
}

func TestADollarThatIsNotExpandedIsKept(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"TOLLBOOK_X=list=GET /{$}":     "list=GET /{$}",
		"TOLLBOOK_X=\"list=GET /{$}\"": "list=GET /{$}",
		"TOLLBOOK_X='/a$POD/${POD}'":   "/a$POD/${POD}",
		`TOLLBOOK_X='/a\$POD'`:         `/a\$POD`,
		`TOLLBOOK_X=/a\$POD`:           "/a$POD",
		`TOLLBOOK_X="/a\$POD"`:         "/a$POD",
		"TOLLBOOK_X=a$ # $POD":         "a$",
		"A=1\nB=$A\nTOLLBOOK_X=b":      "b",
	} {
		vars, err := parseEnvFile([]byte(text))
		if got := vars["TOLLBOOK_X"]; got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestMistakesNeverShowSecrets(t *testing.T) {
	t.Parallel()
	const key = "sk_live_hunter2"
	for _, s := range settingsOf(new(config)) {
		values := []string{key, `"` + key, "-----BEGIN RSA PRIVATE KEY-----\nhunter2", "https://a:hunter2@b/"}
		if s.secret() {
			values = []string{"hunter2", key + " ", key + "\n"}
		}
		for _, value := range values {
			got := strings.Join(mistakesIn(t, t.TempDir(), "", with(s.name+"="+value)...), "\n")
			if strings.Contains(got, "hunter2") {
				t.Errorf("%s=%q is shown: %s", s.name, value, got)
			}
		}
	}
}

func TestAddressesThatOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b             string
		overlap, reaches bool
	}{
		{":80", ":80", true, true},
		{"127.0.0.1:80", ":80", true, true},
		{"10.0.0.1:80", ":80", true, false},
		{"api:80", "0.0.0.0:80", true, false},
		{"localhost:80", "[::1]:80", true, true},
		{"127.0.0.1:80", "[::1]:80", false, false},
		{"[::]:80", "127.0.0.1:80", true, true},
		{"API:80", "api:80", true, true},
		{":80", ":81", false, false},
		{":0", ":0", false, false},
	} {
		a, b := listenAddr{"tcp", c.a}, listenAddr{"tcp", c.b}
		equal(t, c.a+" overlaps "+c.b, overlap(a, b), c.overlap)
		equal(t, c.a+" reaches "+c.b, reaches(a, b), c.reaches)
	}
	socket := listenAddr{"unix", "/a"}
	equal(t, "one socket", reaches(socket, socket), true)
	equal(t, "two sockets", overlap(socket, listenAddr{"unix", "/b"}), false)
	equal(t, "a socket and a port", reaches(socket, listenAddr{"tcp", "/a"}), false)
}

func TestDistanceCountsEdits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"ADR", "ADDR", 1}} {
		equal(t, c.a+"→"+c.b, distance(c.a, c.b), c.want)
	}
}
