package proxy

import (
	"net/http"
	"slices"
)

// exposed are the headers of our replies that scripts may read
// (https://fetch.spec.whatwg.org/#http-access-control-expose-headers).
const exposed = "Retry-After, WWW-Authenticate, X-Request-ID"

// allowReading lets scripts of the origins in Config.CORSOrigins read a reply of
// our own. The upstream's replies are its own to open.
func (h *Handler) allowReading(header http.Header, r *http.Request) {
	if len(h.CORSOrigins) == 0 {
		return
	}
	header.Set("Vary", "Origin")
	origin := only(r.Header["Origin"])
	if !slices.Contains(h.CORSOrigins, origin) {
		return
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", exposed)
	if h.TokenCookie != "" { // or browsers keep what was asked with a cookie to themselves
		header.Set("Access-Control-Allow-Credentials", "true")
	}
}

// crossSite reports whether a browser sent a request for another site than those
// that may use the cookie: a browser adds the cookie to whatever any site asks.
func (h *Handler) crossSite(r *http.Request) bool {
	if origins := r.Header["Origin"]; len(origins) > 0 {
		return !slices.Contains(h.CookieOrigins, only(origins))
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false // reading what the reader can't see (RFC 9110 §9.2.1)
	}
	// https://w3c.github.io/webappsec-fetch-metadata/#sec-fetch-site-header
	switch only(r.Header["Sec-Fetch-Site"]) {
	case "same-origin", "none":
		return false
	default:
		return len(r.Header["Sec-Fetch-Site"]) > 0
	}
}
