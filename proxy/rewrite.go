package proxy

import (
	"bytes"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"

	"tollbook/proxy/clerk"
)

// Headers that are ours on every forwarded request, whatever the client sent.
const (
	headerActorID      = "X-Actor-Id"
	headerRequestID    = "X-Request-Id"
	headerChangeReason = "X-Change-Reason"
)

// A headerPolicy knows which headers are ours.
type headerPolicy struct {
	userID string          // canonical
	claims []ClaimHeader   // their headers canonical
	ours   map[string]bool // by folded name
	// allowed are the lower-case names that pass although they are not plain.
	allowed map[string]bool
}

func newHeaderPolicy(cfg *Config) headerPolicy {
	p := headerPolicy{userID: textproto.CanonicalMIMEHeaderKey(cfg.UserIDHeader)}
	names := []string{
		p.userID, headerActorID, headerRequestID,
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	}
	for _, c := range cfg.ClaimHeaders {
		c.Header = textproto.CanonicalMIMEHeaderKey(c.Header)
		p.claims = append(p.claims, c)
		names = append(names, c.Header)
	}
	p.allowed = make(map[string]bool, len(cfg.AllowHeaders))
	for _, name := range cfg.AllowHeaders {
		p.allowed[strings.ToLower(name)] = true
	}
	p.ours = make(map[string]bool, len(names))
	for _, name := range names {
		p.ours[string(fold(nil, name))] = true
	}
	return p
}

// fold appends the name's letters and digits in lower case: two names with the
// same ones may be the same to an upstream.
func fold(dst []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; isAlnum(c) {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
		}
	}
	return dst
}

// strip removes every header that is ours, under any of its spellings, and unless
// a proxy of ours sent the request, what it tells of its way.
func (p *headerPolicy) strip(header http.Header, trusted bool) {
	var buf [64]byte
	for name := range header {
		folded := fold(buf[:0], name)
		if p.ours[string(folded)] || !trusted && tellsOfTheWay(folded) {
			delete(header, name)
		}
	}
}

// foldedForwarded begins the folded names of X-Forwarded-For and its kin.
var foldedForwarded = []byte("xforwarded")

// foldedAddresses are the folded names of other headers in which proxies tell the
// client's address, and some upstreams look for it first.
var foldedAddresses = map[string]bool{
	"xrealip": true, "xclientip": true, "xclusterclientip": true, "trueclientip": true,
	"cfconnectingip": true, "fastlyclientip": true, "xoriginalforwardedfor": true,
}

func tellsOfTheWay(folded []byte) bool {
	return bytes.HasPrefix(folded, foldedForwarded) || foldedAddresses[string(folded)]
}

// identify sets who asks.
func (p *headerPolicy) identify(header http.Header, session *clerk.Session) {
	header[p.userID] = []string{session.UserID}
	if session.Actor != nil {
		header[headerActorID] = []string{session.Actor.Subject}
	}
	for _, c := range p.claims {
		if value, ok := session.Claims[c.Claim]; ok {
			header[c.Header] = []string{value}
		}
	}
}

// rerouting are the folded names of headers in which some upstreams look for
// another method or path than the request's. Nobody unknown may reach a protected
// route by way of a public one.
var rerouting = map[string]bool{
	"xhttpmethodoverride": true, "xhttpmethod": true, "xmethodoverride": true,
	"xoriginalurl": true, "xoriginaluri": true, "xoriginalmethod": true, "xoriginalhost": true,
	"xrewriteurl": true, "xforwardeduri": true, "xforwardedpath": true, "xforwardedmethod": true,
	"xforwardedprefix": true, "xoverrideurl": true, "xscriptname": true,
}

// anonymize removes what could make more of a request that nobody vouches for.
func (p *headerPolicy) anonymize(header http.Header) {
	var buf [64]byte
	for name := range header {
		if rerouting[string(fold(buf[:0], name))] {
			delete(header, name)
		}
	}
}

// rewrite makes the request that the upstream sees. ReverseProxy has removed the
// hop-by-hop headers already, so that a client can't have ours removed by naming
// them in Connection (golang.org/issue/50580).
func (h *Handler) rewrite(p *httputil.ProxyRequest) {
	x := exchangeOf(p.In)
	out := p.Out
	out.URL.Scheme, out.URL.Host = h.Upstream.Scheme, h.Upstream.Host
	forwardTarget(p)
	if h.UpstreamHost != "" {
		out.Host = h.UpstreamHost
	}
	out.Trailer = nil // trailers could carry what headers may not
	// What the upstream leaves of the content must not become a request.
	out.Close = hasUnexpectedContent(p.In) || x.session == nil && p.In.ContentLength != 0
	x.upgrade = isWebSocket(p.In)
	if !x.upgrade {
		out.Header.Del("Connection")
		out.Header.Del("Upgrade")
	}
	out.Header.Del("Http2-Settings")
	h.headers.strip(out.Header, x.arrival.trusted)
	if x.session == nil {
		h.headers.anonymize(out.Header)
	} else {
		h.headers.identify(out.Header, x.session)
	}
	if x.session == nil || !h.ForwardAuthorization {
		out.Header.Del("Authorization")
		if h.TokenCookie != "" {
			stripCookie(out.Header, h.TokenCookie)
		}
	}
	x.arrival.setForwarded(out.Header)
	out.Header[headerRequestID] = []string{x.record.RequestID}
}

// forwardTarget keeps path and query as they came: ReverseProxy drops query
// parameters that Go can't parse, and net/url escapes anew what it would have
// escaped otherwise.
func forwardTarget(p *httputil.ProxyRequest) {
	path, query := rawTarget(p.In)
	out := p.Out.URL
	out.RawQuery = query
	out.ForceQuery = query == "" && strings.HasSuffix(p.In.RequestURI, "?")
	if out.EscapedPath() != path {
		out.Opaque = path
	}
}

// isWebSocket reports whether the request asks for the one upgrade that is
// forwarded (RFC 6455 §4.1).
func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && r.ProtoMajor == 1 &&
		r.Method == http.MethodGet && r.ContentLength == 0 && asksToUpgrade(r.Header)
}

func asksToUpgrade(header http.Header) bool {
	for _, line := range header["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(token, " \t"), "upgrade") {
				return true
			}
		}
	}
	return false
}
