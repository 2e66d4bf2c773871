package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"go.uber.org/zap/zapcore"
)

const (
	testIssuer = "https://example.clerk.accounts.dev"
	// testPublishableKey names testIssuer.
	testPublishableKey = "pk_test_ZXhhbXBsZS5jbGVyay5hY2NvdW50cy5kZXYk"
)

// testSecretKey has the shape of a secret key.
var testSecretKey = "sk_test_" + rand.Text()

// required is the least that must be set.
var required = []string{"CLERK_ISSUER=" + testIssuer, "TOLLBOOK_UPSTREAM_URL=http://127.0.0.1:8000"}

// with is the least that must be set, and more.
func with(more ...string) []string { return slices.Concat(required, more) }

// mustLoad loads settings that have no mistake, from a folder without a file.
func mustLoad(t *testing.T, environ ...string) config {
	t.Helper()
	cfg, _, _, err := loadConfig(environ, t.TempDir(), "")
	if err != nil {
		t.Fatalf("loadConfig: %v", err)
	}
	return cfg
}

// mistakesIn loads settings and returns the lines of the error.
func mistakesIn(t *testing.T, dir, envFile string, environ ...string) []string {
	t.Helper()
	_, _, _, err := loadConfig(environ, dir, envFile)
	if err == nil {
		return nil
	}
	var mistakes configError
	if !errors.As(err, &mistakes) {
		t.Fatalf("got %T, want a configError: %v", err, err)
	}
	return mistakes
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// testPEM makes a public key once for all tests.
var testPEM = sync.OnceValue(func() string { return newPEM(2048) })

func newPEM(bits int) string {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestTwoSettingsSuffice(t *testing.T) {
	t.Parallel()
	cfg, loaded, warnings, err := loadConfig(required, t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "loaded", loaded, "")
	equal(t, "warnings", warnings, nil)
	equal(t, "issuer", cfg.Clerk.Issuer, testIssuer)
	equal(t, "JWKS URL", cfg.Clerk.JWKSURL, testIssuer+"/.well-known/jwks.json")
	equal(t, "leeway", cfg.Clerk.Leeway, 10*time.Second)
	equal(t, "API URL", cfg.Clerk.APIURL.String(), "https://api.clerk.com/v1")
	equal(t, "templates", cfg.Clerk.acceptTemplates(), false)
	equal(t, "impersonation denied", cfg.Clerk.denyImpersonation(), false)
	equal(t, "upstream", cfg.Upstream.URL.Host, "127.0.0.1:8000")
	equal(t, "listen", cfg.ListenAddr, listenAddr{"tcp", ":8080"})
	equal(t, "admin", cfg.Admin.Addr, "127.0.0.1:9090")
	equal(t, "claims", cfg.ClaimHeaders, nil)
	equal(t, "trusted proxies", cfg.TrustedProxies, trustedProxies{})
	equal(t, "token cookie", cfg.TokenCookie, "")
	equal(t, "public routes", cfg.PublicRoutes, nil)
	equal(t, "reason methods", cfg.ReasonMethods, nil)
	equal(t, "allowed headers", cfg.AllowHeaders, nil)
	equal(t, "preflights forwarded", cfg.CORS.forwardPreflights(), false)
	equal(t, "CORS origins", cfg.CORS.Origins, nil)
	equal(t, "TLS", cfg.TLS, tlsConfig{})
	equal(t, "limits", cfg.Limits, limitsConfig{
		MaxHeaderBytes: 64 << 10, MaxInFlight: 1024, MaxStreams: 4096,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 90 * time.Second,
		StallTimeout: time.Minute,
	})
	equal(t, "fsync", cfg.Audit.fsync(), true)
	equal(t, "events", cfg.Audit.Events, []event{
		{"submit", "POST /jobs"},
		{"list", "GET /jobs"},
		{"status", "GET /jobs/{job_id}"},
		{"cancel", "DELETE /jobs/{job_id}"},
	})
	equal(t, "fields", cfg.Audit.ResponseFields, []string{"job_id", "status"})
	equal(t, "detailed errors", cfg.DetailedErrors, true)
	equal(t, "log level", cfg.LogLevel, zapcore.InfoLevel)
}

func TestEverySettingIsTaken(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t,
		"CLERK_PUBLISHABLE_KEY="+testPublishableKey, "CLERK_JWKS_FILE=/etc/jwks.json",
		"CLERK_JWKS_REFRESH=1h", "CLERK_LEEWAY=0s", "CLERK_ALLOW_MISSING_AZP=true",
		"CLERK_AUTHORIZED_PARTIES=https://a.example, http://localhost:3000,chrome-extension://abc",
		"CLERK_TOKEN_TYPES=session,template", "CLERK_ACCEPT_PENDING=true", "CLERK_IMPERSONATION=deny",
		"CLERK_SECRET_KEY="+testSecretKey, "CLERK_API_URL=http://127.0.0.1:5/v1",
		"TOLLBOOK_UPSTREAM_URL=unix:///run/api.sock", "TOLLBOOK_UPSTREAM_HOST=api.example:81",
		"TOLLBOOK_UPSTREAM_DIAL_TIMEOUT=1s", "TOLLBOOK_UPSTREAM_HEADER_TIMEOUT=2s",
		"TOLLBOOK_LISTEN_ADDR=unix:///run/tollbook.sock", "TOLLBOOK_ADMIN_ADDR=[::1]:9",
		"TOLLBOOK_USER_ID_HEADER=Remote-User", "TOLLBOOK_CLAIM_HEADERS=sid=X-Session-ID,email=X-Mail",
		"TOLLBOOK_FORWARD_AUTHORIZATION=true", "TOLLBOOK_AUDIT_DIR=/var/lib/t",
		"TOLLBOOK_AUDIT_DURABILITY=os", "TOLLBOOK_AUDIT_EVENTS=home=GET /{$},all=/",
		"TOLLBOOK_AUDIT_RESPONSE_FIELDS=id", "TOLLBOOK_DRAIN_DELAY=3s", "TOLLBOOK_DRAIN_TIMEOUT=4s",
		"TOLLBOOK_DETAILED_ERRORS=false", "TOLLBOOK_LOG_LEVEL=debug")
	equal(t, "issuer", cfg.Clerk.Issuer, testIssuer)
	equal(t, "JWKS URL beside a file", cfg.Clerk.JWKSURL, "")
	equal(t, "JWKS file", cfg.Clerk.JWKSFile, "/etc/jwks.json")
	equal(t, "refresh", cfg.Clerk.JWKSRefresh, time.Hour)
	equal(t, "leeway", cfg.Clerk.Leeway, 0)
	equal(t, "missing azp", cfg.Clerk.AllowMissingAZP, true)
	equal(t, "parties", cfg.Clerk.AuthorizedParties,
		[]string{"https://a.example", "http://localhost:3000", "chrome-extension://abc"})
	equal(t, "templates", cfg.Clerk.acceptTemplates(), true)
	equal(t, "pending", cfg.Clerk.AcceptPending, true)
	equal(t, "impersonation denied", cfg.Clerk.denyImpersonation(), true)
	equal(t, "secret key", string(cfg.Clerk.SecretKey), testSecretKey)
	equal(t, "API URL", cfg.Clerk.APIURL.String(), "http://127.0.0.1:5/v1")
	equal(t, "upstream", cfg.Upstream.URL.Path, "/run/api.sock")
	equal(t, "upstream host", cfg.Upstream.Host, "api.example:81")
	equal(t, "dial timeout", cfg.Upstream.DialTimeout, time.Second)
	equal(t, "header timeout", cfg.Upstream.HeaderTimeout, 2*time.Second)
	equal(t, "listen", cfg.ListenAddr, listenAddr{"unix", "/run/tollbook.sock"})
	equal(t, "admin", cfg.Admin.Addr, "[::1]:9")
	equal(t, "user id header", cfg.UserIDHeader, "Remote-User")
	equal(t, "claims", cfg.ClaimHeaders, []claimHeader{{"sid", "X-Session-ID"}, {"email", "X-Mail"}})
	equal(t, "authorization", cfg.ForwardAuthorization, true)
	equal(t, "audit folder", cfg.Audit.Dir, "/var/lib/t")
	equal(t, "fsync", cfg.Audit.fsync(), false)
	equal(t, "events", cfg.Audit.Events, []event{{"home", "GET /{$}"}, {"all", "/"}})
	equal(t, "fields", cfg.Audit.ResponseFields, []string{"id"})
	equal(t, "drain delay", cfg.DrainDelay, 3*time.Second)
	equal(t, "drain timeout", cfg.DrainTimeout, 4*time.Second)
	equal(t, "detailed errors", cfg.DetailedErrors, false)
	equal(t, "log level", cfg.LogLevel, zapcore.DebugLevel)
}

func TestProcessEnvironmentWinsOverFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := writeFile(t, dir, ".env.local",
		"CLERK_ISSUER="+testIssuer+"\nTOLLBOOK_UPSTREAM_URL=http://127.0.0.1:1\n"+
			"TOLLBOOK_AUDIT_DIR=from-file\nTOLLBOOK_LOG_LEVEL=warn\n")
	cfg, loaded, _, err := loadConfig(
		[]string{"TOLLBOOK_UPSTREAM_URL=http://127.0.0.1:2", "TOLLBOOK_AUDIT_DIR="}, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "loaded", loaded, path)
	equal(t, "set in both", cfg.Upstream.URL.Host, "127.0.0.1:2")
	equal(t, "empty in the process", cfg.Audit.Dir, "from-file")
	equal(t, "set in the file alone", cfg.LogLevel, zapcore.WarnLevel)
}

func TestNamedFileReplacesTheDefaultOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, ".env.local", "TOLLBOOK_LOG_LEVEL=warn\n")
	path := writeFile(t, dir, "other.env", "TOLLBOOK_AUDIT_DIR=other\n")
	for _, name := range []string{path, "other.env"} {
		cfg, loaded, _, err := loadConfig(required, dir, name)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "loaded", loaded, path)
		equal(t, "audit folder", cfg.Audit.Dir, "other")
		equal(t, "log level", cfg.LogLevel, zapcore.InfoLevel)
	}
}

func TestLoadedFileIsNamedBesideAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := writeFile(t, dir, ".env.local", "CLERK_ISSUER="+testIssuer+"\n")
	_, loaded, _, err := loadConfig(nil, dir, "")
	equal(t, "loaded", loaded, path)
	want := "configuration: TOLLBOOK_UPSTREAM_URL: is required; write where the protected API " +
		"listens, e.g. http://127.0.0.1:8000; " + fmt.Sprintf("%q was loaded and does not set it", path)
	equal(t, "error", fmt.Sprint(err), want)
}

func TestEmptyIsUnset(t *testing.T) {
	t.Parallel()
	var empty []string
	for _, s := range settingsOf(new(config)) {
		for _, name := range s.names() {
			empty = append(empty, name+"=")
		}
	}
	empty = append(empty, "TOLLBOOK_NO_SUCH=", "CLERK_JWT_KEY=")
	cfg := mustLoad(t, slices.Concat(empty, required)...)
	equal(t, "settings", cfg.digest(), mustLoad(t, required...).digest())
	if got := len(mistakesIn(t, t.TempDir(), "", empty...)); got != 2 {
		t.Errorf("all empty: got %d mistakes, want the 2 required settings", got)
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "key.pem", testPEM())
	sk := writeFile(t, dir, "sk", testSecretKey+"\r\n\n")
	cfg, _, _, err := loadConfig(
		with("CLERK_PEM_PUBLIC_KEY_FILE=key.pem", "CLERK_SECRET_KEY_FILE="+sk), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "PEM", string(cfg.Clerk.PEMPublicKey), strings.TrimSpace(testPEM()))
	equal(t, "secret key", string(cfg.Clerk.SecretKey), testSecretKey)
	equal(t, "JWKS URL beside a PEM", cfg.Clerk.JWKSURL, "")
}

func TestMistakesInSecretFilesNameTheTwin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "empty", "\n")
	writeFile(t, dir, "bad", "hunter2")
	writeFile(t, dir, "big", strings.Repeat("x", maxSecretFile+1))
	missing, big := filepath.Join(dir, "missing"), filepath.Join(dir, "big")
	for value, want := range map[string]string{
		"missing": "open " + missing + ": no such file or directory; name a file that can be read",
		"big":     fmt.Sprintf("%q is larger than 16384 bytes; name a file that can be read", big),
		"empty":   `"empty" is empty; name a file that holds the value`,
		"bad": "is not a Clerk secret key; " +
			"write the whole sk_test_… or sk_live_…, without quotes or spaces",
	} {
		got := mistakesIn(t, dir, "", with("CLERK_SECRET_KEY_FILE="+value)...)
		equal(t, value, got, []string{"CLERK_SECRET_KEY_FILE: " + want})
	}
	got := mistakesIn(t, dir, "", with("CLERK_SECRET_KEY=x", "CLERK_SECRET_KEY_FILE=bad")...)
	equal(t, "both", got,
		[]string{"CLERK_SECRET_KEY: CLERK_SECRET_KEY_FILE is set too; unset one of the two"})
}

func TestEveryShapeOfPEMPassesThroughAFile(t *testing.T) {
	t.Parallel()
	text := strings.TrimSpace(testPEM())
	lines := strings.Split(text, "\n")
	escaped := strings.Join(lines, `\n`)
	bare := strings.Join(lines[1:len(lines)-1], "")
	for name, value := range map[string]string{
		"lines in quotes":         `"` + text + `"`,
		"escaped":                 escaped,
		"escaped in quotes":       `"` + escaped + `"`,
		"escaped in other quotes": `'` + escaped + `'`,
		"bare":                    bare,
		"base64":                  base64.StdEncoding.EncodeToString([]byte(testPEM())),
	} {
		dir := t.TempDir()
		writeFile(t, dir, ".env.local", "CLERK_PEM_PUBLIC_KEY="+value+"\nTOLLBOOK_LOG_LEVEL=warn\n")
		cfg, _, _, err := loadConfig(required, dir, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := mustLoad(t, with("TOLLBOOK_LOG_LEVEL=warn", "CLERK_PEM_PUBLIC_KEY="+text)...).digest()
		equal(t, name, cfg.digest(), want)
	}
	// docker keeps the quotes.
	mustLoad(t, with(`CLERK_PEM_PUBLIC_KEY="`+escaped+`"`)...)
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	const exposed = "is not on this machine; make sure that no client can reach it " +
		"other than through tollbook, or X-User-ID proves nothing"
	for _, c := range []struct{ set, want string }{
		{"TOLLBOOK_UPSTREAM_URL=http://api:8000", `TOLLBOOK_UPSTREAM_URL: "api" ` + exposed},
		{"TOLLBOOK_UPSTREAM_URL=https://10.0.0.7", `TOLLBOOK_UPSTREAM_URL: "10.0.0.7" ` + exposed},
		{"TOLLBOOK_UPSTREAM_URL=h2c://[::1]:8000", ""},
		{"TOLLBOOK_UPSTREAM_URL=http://localhost:8000/", ""},
		{"TOLLBOOK_UPSTREAM_URL=http://127.8.8.8:8000", ""},
		{"TOLLBOOK_UPSTREAM_URL=unix:///run/api.sock", ""},
		{"CLERK_JWT_KEY=x", "CLERK_JWT_KEY: is not read; to use the key in it, set CLERK_PEM_PUBLIC_KEY"},
		{"CLERK_JWKS_URL=http://127.0.0.1:5/jwks", ""},
		{"CLERK_JWKS_URL=http://[::1]:5/jwks", ""},
		{"CLERK_JWKS_URL=http://LocalHost/jwks", ""},
		{
			"CLERK_ALLOW_MISSING_AZP=true",
			"CLERK_ALLOW_MISSING_AZP: has no effect unless CLERK_AUTHORIZED_PARTIES is set",
		},
		{"TOLLBOOK_CORS_PREFLIGHT=forward", ""},
		{"TOLLBOOK_PUBLIC_ROUTES=GET /{$},GET /{a}", ""},
		{
			"TOLLBOOK_PUBLIC_ROUTES=GTE /health",
			`TOLLBOOK_PUBLIC_ROUTES: "GTE" is an unusual method; did you mean GET?`,
		},
		{
			"TOLLBOOK_PUBLIC_ROUTES=GET /",
			`TOLLBOOK_PUBLIC_ROUTES: "GET /" makes every GET public: nobody has to say who they are`,
		},
		{
			"TOLLBOOK_PUBLIC_ROUTES=POST /{all...}",
			`TOLLBOOK_PUBLIC_ROUTES: "POST /{all...}" makes every POST public: nobody has to say who they are`,
		},
		{"TOLLBOOK_REASON_METHODS=GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS,PROPFIND", ""},
		{
			"TOLLBOOK_REASON_METHODS=PACTH",
			`TOLLBOOK_REASON_METHODS: "PACTH" is an unusual method; did you mean PATCH?`,
		},
	} {
		_, _, warnings, err := loadConfig(with(c.set), t.TempDir(), "")
		if err != nil {
			t.Errorf("%s: %v", c.set, err)
		}
		equal(t, c.set, strings.Join(warnings, "\n"), c.want)
	}
	_, _, warnings, _ := loadConfig(
		with("CLERK_JWT_KEY=x", "CLERK_PEM_PUBLIC_KEY="+testPEM()), t.TempDir(), "")
	equal(t, "a foreign key beside ours", warnings, nil)
	slash := mustLoad(t, with("TOLLBOOK_UPSTREAM_URL=http://127.0.0.1:8000/")...)
	equal(t, "a lone slash", slash, mustLoad(t, required...))
}

func TestAdminAddrIgnoresOtherMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, ".env.local", "TOLLBOOK_ADMIN_ADDR=:1\nTOLLBOOK_NO_SUCH=1\n")
	addr, err := adminAddr([]string{"CLERK_LEEWAY=abc"}, dir, "")
	if addr != ":1" || err != nil {
		t.Errorf("got %q, %v, want :1 from the file", addr, err)
	}
	if addr, err := adminAddr(nil, t.TempDir(), ""); addr != "127.0.0.1:9090" || err != nil {
		t.Errorf("got %q, %v, want the default", addr, err)
	}
	_, err = adminAddr([]string{"TOLLBOOK_ADMIN_ADDR=9090"}, t.TempDir(), "")
	equal(t, "error", fmt.Sprint(err), `configuration: TOLLBOOK_ADMIN_ADDR: "9090" is not host:port; `+
		"write host:port such as 127.0.0.1:9090")
	if _, err := adminAddr(nil, t.TempDir(), "missing.env"); err == nil {
		t.Error("got no error for a missing file")
	}
}

func TestAuditDirIgnoresOtherMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, ".env.local", "TOLLBOOK_AUDIT_DIR=from-file\nTOLLBOOK_AUDIT_EVENTS=bad\n")
	others := []string{"TOLLBOOK_AUDIT_DURABILITY=off", "TOLLBOOK_NO_SUCH=1", "CLERK_LEEWAY=abc"}
	got, err := auditDir(others, dir, "")
	if got != "from-file" || err != nil {
		t.Errorf("got %q, %v, want from-file", got, err)
	}
	if got, err := auditDir(nil, t.TempDir(), ""); got != "logs/audit/jobs" || err != nil {
		t.Errorf("got %q, %v, want the default", got, err)
	}
	_, err = auditDir([]string{"TOLLBOOK_AUDIT_DIR=a "}, dir, "")
	equal(t, "error", fmt.Sprint(err), "configuration: TOLLBOOK_AUDIT_DIR: "+
		"the value begins or ends with white space; remove it")
	if _, err := auditDir(nil, dir, "missing.env"); err == nil {
		t.Error("got no error for a missing file")
	}
}

func TestPortZeroIsTaken(t *testing.T) {
	t.Parallel()
	set := []string{"TOLLBOOK_LISTEN_ADDR=127.0.0.1:0", "TOLLBOOK_ADMIN_ADDR=127.0.0.1:0"}
	cfg := mustLoad(t, with(set...)...)
	equal(t, "listen", cfg.ListenAddr, listenAddr{"tcp", "127.0.0.1:0"})
	equal(t, "admin", cfg.Admin.Addr, "127.0.0.1:0")
	addr, err := adminAddr(set, t.TempDir(), "")
	if addr != "127.0.0.1:0" || err != nil {
		t.Errorf("got %q, %v, want 127.0.0.1:0", addr, err)
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, with("CLERK_SECRET_KEY="+testSecretKey, "CLERK_PEM_PUBLIC_KEY="+testPEM())...)
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	printed := string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb, cfg) + fmt.Sprintf(verb, cfg.Clerk.SecretKey)
	}
	for _, leak := range []string{testSecretKey, fmt.Sprintf("%x", testSecretKey), "BEGIN PUBLIC"} {
		if strings.Contains(printed, leak) {
			t.Errorf("%q was printed", leak)
		}
	}
}

func TestDigestFollowsEverySettingButSecrets(t *testing.T) {
	t.Parallel()
	base := mustLoad(t, required...).digest()
	if len(base) != 64 || strings.ToLower(base) != base {
		t.Errorf("got %q, want the hex of a SHA-256", base)
	}
	seen := map[string]string{"nothing": base}
	for name, value := range map[string]string{
		"CLERK_ISSUER": "https://other.example", "CLERK_PEM_PUBLIC_KEY": testPEM(),
		"CLERK_JWKS_URL": "https://keys.example/jwks", "CLERK_JWKS_FILE": "/jwks.json",
		"CLERK_LEEWAY": "11s", "CLERK_AUTHORIZED_PARTIES": "https://app.example",
		"CLERK_IMPERSONATION": "deny", "TOLLBOOK_UPSTREAM_URL": "http://127.0.0.1:8001",
		"TOLLBOOK_LISTEN_ADDR": "unix:///run/t.sock", "TOLLBOOK_ADMIN_ADDR": ":9091",
		"TOLLBOOK_CLAIM_HEADERS": "email=X-Mail", "TOLLBOOK_AUDIT_EVENTS": "submit=POST /jobs",
		"TOLLBOOK_AUDIT_RESPONSE_FIELDS": "job_id", "TOLLBOOK_DETAILED_ERRORS": "false",
		"TOLLBOOK_LOG_LEVEL": "warn", "TOLLBOOK_AUDIT_MAX_WAIT": "3s", "TOLLBOOK_AUDIT_MIN_FREE": "1GiB",
		"TOLLBOOK_TRUSTED_PROXIES": "10.0.0.0/8", "TOLLBOOK_PUBLIC_ROUTES": "GET /health",
		"TOLLBOOK_REASON_METHODS": "PUT", "TOLLBOOK_ALLOW_HEADERS": "X_A",
		"TOLLBOOK_CORS_PREFLIGHT": "forward", "TOLLBOOK_CORS_ORIGINS": "https://app.example",
		"TOLLBOOK_MAX_BODY_BYTES": "1", "TOLLBOOK_MAX_HEADER_BYTES": "1MiB",
		"TOLLBOOK_MAX_IN_FLIGHT": "1", "TOLLBOOK_MAX_STREAMS": "1",
		"TOLLBOOK_READ_HEADER_TIMEOUT": "1s", "TOLLBOOK_IDLE_TIMEOUT": "1s",
		"TOLLBOOK_STALL_TIMEOUT": "1s", "TOLLBOOK_STREAM_LIFETIME": "token",
	} {
		seen[name] = mustLoad(t, with(name+"="+value)...).digest()
	}
	if got := len(slices.Compact(slices.Sorted(maps.Values(seen)))); got != len(seen) {
		t.Errorf("got %d different digests of %d different settings: %v", got, len(seen), seen)
	}
	for _, same := range []string{
		"CLERK_SECRET_KEY=" + testSecretKey, "CLERK_LEEWAY=10000ms", "CLERK_API_URL=", "HOME=/",
		"TOLLBOOK_STREAM_LIFETIME=0s", "TOLLBOOK_MAX_HEADER_BYTES=65536",
	} {
		equal(t, same, mustLoad(t, with(same)...).digest(), base)
	}
	if a, b := seen["CLERK_PEM_PUBLIC_KEY"],
		mustLoad(t, with("CLERK_PEM_PUBLIC_KEY="+newPEM(2048))...).digest(); a == b {
		t.Error("two public keys have one digest")
	}
}

// TestTagsAreComplete holds the struct to what the code relies on.
func TestTagsAreComplete(t *testing.T) {
	t.Parallel()
	params, err := env.GetFieldParams(new(config))
	if err != nil {
		t.Fatal(err)
	}
	settings := settingsOf(new(config))
	equal(t, "number of settings", len(settings), len(params))
	for i, s := range settings {
		equal(t, "name", s.name, params[i].Key)
		var ordered bool
		switch s.field.Interface().(type) {
		case time.Duration, streamLifetime:
			ordered = bound(s.min) < bound(s.max)
		case byteSize:
			ordered = mustSize(s.min) < mustSize(s.max)
		case int:
			ordered = mustAtoi(s.min) < mustAtoi(s.max)
		default:
			ordered = s.min+s.max == ""
		}
		if !ordered {
			t.Errorf("%s: bounds %s to %s", s.name, s.min, s.max)
		}
		if s.oneOf != nil && !slices.Contains(s.oneOf, s.def) {
			t.Errorf("%s: default %q is not among %v", s.name, s.def, s.oneOf)
		}
	}
}
