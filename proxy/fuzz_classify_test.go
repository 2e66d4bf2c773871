package proxy_test

import (
	"bufio"
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"

	"tollbook/proxy"
)

// readings are the paths that some upstream makes of a raw one. They are spelled
// out here, and share nothing with what they judge.
func readings(raw string) []string {
	once := decode(raw, isAny)
	found := []string{decode(raw, isUnreserved), once, decode(once, isAny)}
	for _, change := range []func(string) string{
		func(p string) string { p, _, _ = strings.Cut(p, "#"); return p },
		func(p string) string { p, _, _ = strings.Cut(p, "?"); return p },
		func(p string) string { return strings.ReplaceAll(p, `\`, "/") },
		withoutParameters,
		func(p string) string { p, _, _ = strings.Cut(p, "\x00"); return p },
		cleaned,
	} {
		for _, p := range found {
			found = append(found, change(p))
		}
	}
	return found
}

// decode undoes the escapes of such characters once, and leaves the others.
func decode(p string, such func(byte) bool) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		c, err := uint64(0), strconv.ErrSyntax
		if p[i] == '%' && i+2 < len(p) {
			c, err = strconv.ParseUint(p[i+1:i+3], 16, 8)
		}
		if err == nil && such(byte(c)) {
			b.WriteByte(byte(c))
			i += 2
			continue
		}
		b.WriteByte(p[i])
	}
	return b.String()
}

func isAny(byte) bool { return true }

// isUnreserved is for who decodes nothing else: these are the same with and
// without their escape (RFC 3986 §6.2.2.2).
func isUnreserved(c byte) bool {
	return strings.IndexByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~", c) >= 0
}

// withoutParameters cuts the parameters off each segment, as servlets have them.
func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	return strings.Join(segments, "/")
}

// cleaned is [path.Clean] that keeps a slash at the end.
func cleaned(p string) string {
	if end := strings.HasSuffix(p, "/"); end && path.Clean(p) != "/" {
		return path.Clean(p) + "/"
	}
	return path.Clean(p)
}

// isOpen says what of these is public: GET /health, GET /docs/, POST /hooks/{id}.
func isOpen(method, p string) bool {
	read := method == http.MethodGet || method == http.MethodHead
	id, isHook := strings.CutPrefix(p, "/hooks/")
	return read && p == "/health" || read && strings.HasPrefix(p, "/docs/") ||
		method == http.MethodPost && isHook && id != "" && !strings.Contains(id, "/")
}

func FuzzClassify(f *testing.F) {
	h := bareHandler(f, proxy.Config{
		PublicRoutes: []string{"GET /health", "GET /docs/", "POST /hooks/{id}"},
	})
	for _, target := range []string{
		"/", "*", "/health", "/health/", "/health?x", "/docs", "/docs/", "/docs/a%20b/c?d", "/docs/é",
		"/docs/../jobs", "/docs/%2e%2e/jobs", "/docs/..%2fjobs", "/docs/%252e%252e/jobs", "/docs//jobs",
		`/docs/..\jobs`, "/docs/..%5cjobs", "/docs/..;/jobs", "/docs/%2e%2e%3b/jobs", "//docs/", "/docs;/",
		"/docs/%c0%ae%c0%ae/jobs", "/docs/\uff0e\uff0e/jobs", "/docs/%00/../jobs", "/Docs/", "/%64ocs/",
		"/hooks/1", "/hooks/a%2fb", "/hooks/", "/hooks/%2e", "/hooks/1#2", "/hooks/#", "/hooks/%23",
		"/hooks/%3F", "/docs/a?b#c", "/health%23", "/health#", "http://api.example/health", "/hooks/..", "/hooks/%", "/hooks/%3b",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "get", "OPTIONS", "CONNECT"} {
			f.Add(method, target)
		}
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		head := method + " " + target + " HTTP/1.1\r\nHost: api.example\r\n\r\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil || r.Method != method || r.RequestURI != target {
			return
		}
		raw, _, _ := strings.Cut(target, "?")
		if h.Classify(r) != proxy.RoutePublic {
			if target == "/health" && method == http.MethodGet {
				t.Error("got /health protected, want it public")
			}
			return
		}
		for _, p := range readings(raw) {
			if !isOpen(method, p) {
				t.Fatalf("got %s %q public, which may be read as %q", method, target, p)
			}
		}
	})
}
