package clerk

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// jwksPath is where a Clerk frontend API serves its key set.
const jwksPath = "/.well-known/jwks.json"

// CheckIssuer reports whether iss can be an issuer: https://host[:port], exactly
// as the tokens have it; http only for a loopback host. An error says what the
// right value is: a trailing slash, a path (as in a pasted JWKS URL), a query or
// an upper-case host is refused, never trimmed.
func CheckIssuer(iss string) error {
	if err := checkIssuer(iss); err != nil {
		return fmt.Errorf("clerk: %w", err)
	}
	return nil
}

func checkIssuer(iss string) error {
	u, err := parseURL(iss)
	if err != nil {
		return fmt.Errorf("issuer %w; want https://<frontend API host>, "+
			"such as https://example.accounts.dev", err)
	}
	want := strings.ToLower(u.Scheme + "://" + u.Host)
	if iss == want {
		return nil
	}
	wrong := "has more than scheme and host"
	switch {
	case strings.TrimRight(iss, "/") == want:
		wrong = "has a trailing slash"
	case strings.HasSuffix(u.Path, jwksPath):
		wrong = "is the URL of a key set"
	case strings.EqualFold(iss, want):
		wrong = "has upper-case letters"
	}
	return fmt.Errorf("issuer %q %s; want %q", redacted(u), wrong, want)
}

// checkKeyURL reports whether keys may be fetched from raw.
func checkKeyURL(raw string) error {
	u, err := parseURL(raw)
	if err != nil {
		return fmt.Errorf("key set URL %w; want https://<frontend API host>%s", err, jwksPath)
	}
	if u.Fragment != "" {
		return fmt.Errorf("key set URL %q has a fragment; want it without", redacted(u))
	}
	return nil
}

// parseURL returns raw as an absolute URL that can be trusted to name its host:
// https, or http on a loopback host, without user information.
func parseURL(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("is empty")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, errors.New("is not a URL with scheme and host")
	case u.User != nil:
		return nil, errors.New("has user information in it")
	case u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	case u.Scheme == "http":
		return nil, fmt.Errorf("%q is not https (http is for loopback hosts)", redacted(u))
	}
	return nil, errors.New("has a scheme other than https")
}

// redacted returns u without its query, which may hold a secret.
func redacted(u *url.URL) string {
	short := *u
	short.User, short.RawQuery, short.Fragment, short.RawFragment = nil, "", "", ""
	return short.String()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// IssuerFromPublishableKey returns the issuer that a Clerk publishable key names:
// pk_test_… or pk_live_… followed by the base64 (padding optional) of the frontend
// API's host and a dollar sign.
func IssuerFromPublishableKey(pk string) (string, error) {
	host, err := frontendHost(pk)
	if err != nil {
		return "", fmt.Errorf("clerk: publishable key %w; "+
			"want pk_test_… or pk_live_… as the Clerk dashboard shows it", err)
	}
	issuer := "https://" + host
	if err := checkIssuer(issuer); err != nil {
		return "", errors.New("clerk: publishable key does not name a host as its frontend API")
	}
	return issuer, nil
}

func frontendHost(pk string) (string, error) {
	if strings.HasPrefix(pk, "sk_") {
		return "", errors.New("is a secret key")
	}
	encoded, ok := strings.CutPrefix(pk, "pk_test_")
	if !ok {
		encoded, ok = strings.CutPrefix(pk, "pk_live_")
	}
	if !ok {
		return "", errors.New("does not begin with pk_test_ or pk_live_")
	}
	encoded = strings.TrimSuffix(strings.TrimSuffix(encoded, "="), "=")
	decoded, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return "", errors.New("is not base64 after its prefix")
	}
	host, rest, ok := strings.Cut(string(decoded), "$")
	if !ok || rest != "" {
		return "", errors.New("does not end with exactly one dollar sign once decoded")
	}
	if !isHost(host) {
		return "", errors.New("does not name a host with a dot in it")
	}
	return host, nil
}

// isHost reports whether host is made of lower-case letters, digits, dots and
// dashes, with a dot in between.
func isHost(host string) bool {
	for _, c := range []byte(host) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '-':
		default:
			return false
		}
	}
	dot := strings.IndexByte(host, '.')
	return dot > 0 && !strings.HasSuffix(host, ".")
}
