package proxy

import (
	"net/http"
	"strings"
)

// screen refuses what is never proxied, before anything else is looked at; nil
// means that the request may go on.
func (h *Handler) screen(r *http.Request) *reply {
	switch {
	case !h.serves(r):
		return &replyDraining
	case neverForwarded(r.Method):
		return methodNotAllowed(r.Method)
	case !isToken(r.Method):
		return invalid("the method is malformed")
	case r.Host == "" && r.ProtoAtLeast(1, 1):
		return invalid("the Host header is empty")
	case !oneHost(r):
		return invalid("the Host is malformed, or there is more than one")
	case !strings.HasPrefix(r.RequestURI, "/") &&
		(r.RequestURI != "*" || r.Method != http.MethodOptions):
		return invalid("the request target must be a path")
	case strings.Contains(r.RequestURI, " "): // HTTP/2 can carry one, HTTP/1 can't
		return invalid("the request target has a space")
	case !forwardablePath(r):
		return invalid("the path has bytes that can't be forwarded as they are")
	case len(r.Header["Content-Type"]) > 1: // files are told of by one of them
		return invalid("there is more than one Content-Type header")
	case !printable(r.Header.Get("Upgrade")):
		return invalid("the Upgrade header is malformed")
	}
	for name := range r.Header {
		if !h.headers.passes(name) {
			return invalid("header names may have letters, digits and dashes only")
		}
	}
	for name := range r.Trailer {
		if !h.headers.passes(name) {
			return invalid("trailer names may have letters, digits and dashes only")
		}
	}
	return nil
}

// serves reports whether requests are still taken, and this one can be answered.
func (h *Handler) serves(r *http.Request) bool {
	c := connOf(r.Context())
	return (c == nil || c.enter(r)) && h.base.Err() == nil
}

// neverForwarded reports whether the method opens a tunnel, or makes a server
// repeat the request, token and all. Some servers take them in any case.
func neverForwarded(method string) bool {
	return strings.EqualFold(method, http.MethodConnect) ||
		strings.EqualFold(method, http.MethodTrace) || strings.EqualFold(method, "TRACK")
}

// isToken reports whether text is one (RFC 9110 §5.6.2). net/http looks at methods
// on HTTP/1 alone.
func isToken(text string) bool {
	return text != "" && strings.IndexFunc(text, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	}) < 0
}

// oneHost reports whether there is no doubt whom the client asks. net/http sends
// upstream what it can make of a malformed Host, maybe nothing, and leaves the one
// beside HTTP/2's :authority alone (RFC 9113 §8.3.1).
func oneHost(r *http.Request) bool {
	for _, host := range r.Header["Host"] {
		if host != r.Host {
			return false
		}
	}
	return validHost(r.Host)
}

// passes reports whether a header of this name may be forwarded.
func (p *headerPolicy) passes(name string) bool {
	return plainName(name) || p.allowed[strings.ToLower(name)]
}

// plainName reports whether a header's name has only letters, digits and dashes.
// Others are read as the same name by some upstreams: X_User_ID is HTTP_X_USER_ID
// to CGI and WSGI, and so is X-User-ID.
func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && !isAlnum(c) {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// rawTarget splits the request target into its path and its query, as sent.
func rawTarget(r *http.Request) (path, query string) {
	path, query, _ = strings.Cut(r.RequestURI, "?")
	return path, query
}

// forwardablePath reports whether net/http's client can write the path byte for
// byte: one that begins with // and is not in its canonical escaping it would
// write as an absolute URL.
func forwardablePath(r *http.Request) bool {
	path, _ := rawTarget(r)
	return !strings.HasPrefix(path, "//") || r.URL.EscapedPath() == path
}
