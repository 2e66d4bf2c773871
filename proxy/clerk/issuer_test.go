package clerk_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"tollbook/proxy/clerk"
)

func TestIssuersAreExactOrigins(t *testing.T) {
	t.Parallel()
	for _, iss := range []string{
		"https://example.accounts.dev", "https://clerk.example.com", "https://example.com:8443",
		"http://127.0.0.1:4000", "http://localhost:4000", "http://[::1]:4000",
	} {
		if err := clerk.CheckIssuer(iss); err != nil {
			t.Errorf("%s: got %v, want it accepted", iss, err)
		}
	}
	for iss, want := range map[string]string{
		"https://example.accounts.dev/":                      `trailing slash; want "` + issuer + `"`,
		"https://example.accounts.dev/.well-known/jwks.json": `URL of a key set; want "` + issuer + `"`,
		"https://example.accounts.dev/v1":                    `want "` + issuer + `"`,
		"https://example.accounts.dev?a=hunter2":             `want "` + issuer + `"`,
		"https://example.accounts.dev#a":                     `want "` + issuer + `"`,
		"https://Example.accounts.dev":                       `upper-case letters; want "` + issuer + `"`,
		"HTTPS://example.accounts.dev":                       `want "` + issuer + `"`,
		"http://example.accounts.dev":                        "not https",
		"http://127.0.0.1.evil.example":                      "not https",
		"example.accounts.dev":                               "not a URL",
		"":                                                   "is empty",
		"https://":                                           "not a URL",
		"https://user:hunter2@example.com":                   "user information",
		"ftp://example.com":                                  "other than https",
		"pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk":               "not a URL",
		" https://example.accounts.dev":                      "not a URL",
	} {
		err := clerk.CheckIssuer(iss)
		if err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %q in the error", iss, err, want)
		}
	}
}

func TestPublishableKeyNamesTheIssuer(t *testing.T) {
	t.Parallel()
	for _, pk := range []string{
		"pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk",
		"pk_live_" + base64.StdEncoding.EncodeToString([]byte("example.accounts.dev$")),
	} {
		got, err := clerk.IssuerFromPublishableKey(pk)
		if err != nil || got != issuer {
			t.Errorf("%s: got %q, %v, want %q", pk, got, err, issuer)
		}
	}
	padded, err := clerk.IssuerFromPublishableKey("pk_live_Y2xlcmsuYS5pbyQ=")
	if err != nil || padded != "https://clerk.a.io" {
		t.Errorf("padded: got %q, %v, want https://clerk.a.io", padded, err)
	}
	of := func(s string) string { return "pk_test_" + base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, pk := range map[string]string{
		"empty": "", "secret": strings.Replace(of("a.b$"), "pk", "sk", 1), "prefix only": "pk_test_",
		"other prefix": strings.Replace(of("a.b$"), "test", "prod", 1), "not base64": "pk_test_!!",
		"no dollar": of("example.accounts.dev"), "two dollars": of("example.accounts.dev$$"),
		"dollar inside": of("example$accounts.dev"), "no dot": of("localhost$"),
		"a path": of("example.com/x$"), "a port": of("example.com:80$"), "user": of("a@b.c$"),
		"no host": of("$"), "dot at the end": of("example.$"), "dot at the start": of(".dev$"),
		"line break": of("example.com\n$"), "upper case": of("Example.com$"),
	} {
		if got, err := clerk.IssuerFromPublishableKey(pk); err == nil {
			t.Errorf("%s: got %q, want an error", name, got)
		}
	}
}
