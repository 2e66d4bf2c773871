package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// classify decides whether a request needs a user. All that is not public
// beyond doubt is protected.
func (h *Handler) classify(r *http.Request) RouteClass {
	switch {
	case isPreflight(r):
		return RoutePreflight
	case h.public.has(r):
		return RoutePublic
	default:
		return RouteProtected
	}
}

// isPreflight reports whether a browser asks what CORS allows
// (https://fetch.spec.whatwg.org/#cors-preflight-request).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) == 1 &&
		len(r.Header["Access-Control-Request-Method"]) == 1 && r.ContentLength == 0
}

// A publicRoutes knows which requests need no user. It is safe for concurrent
// use; nil has none.
type publicRoutes struct{ mux *http.ServeMux }

func newPublicRoutes(patterns []string) (*publicRoutes, error) {
	if len(patterns) == 0 {
		return nil, nil //nolint:nilnil // none is a set too
	}
	p := &publicRoutes{mux: http.NewServeMux()}
	for _, pattern := range patterns {
		if err := register(p.mux, pattern, publicRoute{}); err != nil {
			return nil, fmt.Errorf("public route: %w", err)
		}
	}
	return p, nil
}

// register turns ServeMux's panics on a bad or conflicting pattern into errors.
func register(mux *http.ServeMux, pattern string, route http.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.Handle(pattern, route)
	return nil
}

// A publicRoute is what the mux finds for a public request; it answers nothing.
type publicRoute struct{}

func (publicRoute) ServeHTTP(http.ResponseWriter, *http.Request) {}

// has reports whether the request is for a public route. The mux is asked for
// method and path alone: the client chooses its Host. What the mux finds of its
// own, such as a redirect to a cleaned path, is no public route.
func (p *publicRoutes) has(r *http.Request) bool {
	if p == nil || hasUnexpectedContent(r) {
		return false
	}
	raw, _ := rawTarget(r)
	path, ok := plainPath(raw)
	if !ok {
		return false
	}
	route, _ := p.mux.Handler(&http.Request{
		Method: r.Method, URL: &url.URL{Path: path, RawPath: raw},
	})
	return route == http.Handler(publicRoute{})
}

// hasUnexpectedContent reports whether a request has content that its method gives
// no meaning (RFC 9110 §9.3.1): an upstream that does not read it may take it for
// the next request on the connection.
func hasUnexpectedContent(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete:
		return r.ContentLength != 0
	default:
		return false
	}
}

// plainPath decodes a path that every upstream reads alike; any other is not ok.
// One that is has no empty or dot segment, no backslash, semicolon, number sign or
// control character, and no escape of these, of a slash, a dot, a question mark or
// a percent sign: some servers decode twice, cut parameters and fragments off, or
// resolve what others don't. Beyond ASCII it has letters, their marks and digits
// only, since there are characters that some servers fold to a dot or a slash.
func plainPath(raw string) (path string, ok bool) {
	if !strings.HasPrefix(raw, "/") {
		return "", false
	}
	path, err := url.PathUnescape(raw)
	if err != nil || !utf8.ValidString(path) || strings.Contains(path, "//") {
		return "", false
	}
	for at := 0; at < len(raw); at++ {
		switch c := raw[at]; {
		case c <= ' ' || c >= 0x7f || c == '\\' || c == ';' || c == '#':
			return "", false
		case c == '%':
			if unescaped := unhex(raw[at+1])<<4 | unhex(raw[at+2]); unescaped < utf8.RuneSelf &&
				(unescaped < ' ' || strings.IndexByte(`/\.;#?%`+"\x7f", unescaped) >= 0) {
				return "", false
			}
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment != "" && strings.Trim(segment, ". ") == "" { // some drop blanks and dots at an end
			return "", false
		}
	}
	return path, strings.IndexFunc(path, ambiguous) < 0
}

// ambiguous reports whether a character is neither ASCII nor a letter, a mark on
// one or a digit.
func ambiguous(c rune) bool {
	return c >= utf8.RuneSelf && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c)
}
