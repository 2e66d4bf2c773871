package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// upstreamConfig says what is protected.
type upstreamConfig struct {
	// URL is not nil. Its scheme is http, https, h2c or unix; only unix has a
	// path, the socket's.
	URL *url.URL `env:"TOLLBOOK_UPSTREAM_URL" example:"http://127.0.0.1:8000"`
	// Host is the Host sent upstream, host[:port]; "" sends the client's.
	Host string `env:"TOLLBOOK_UPSTREAM_HOST" example:"api.example.com"`
	// CAFile holds the CAs that vouch for an https upstream, as PEM; "" for the
	// system's. CertFile and KeyFile are what we show it, both or neither.
	CAFile   string `env:"TOLLBOOK_UPSTREAM_CA_FILE" example:"/etc/tollbook/upstream-ca.pem"`
	CertFile string `env:"TOLLBOOK_UPSTREAM_CERT_FILE" example:"/etc/tollbook/upstream-cert.pem"`
	KeyFile  string `env:"TOLLBOOK_UPSTREAM_KEY_FILE" example:"/etc/tollbook/upstream-key.pem"`
	// DialTimeout bounds a connection attempt (502).
	DialTimeout time.Duration `env:"TOLLBOOK_UPSTREAM_DIAL_TIMEOUT" envDefault:"5s" min:"1ms" max:"5m"`
	// HeaderTimeout bounds the wait for the head of a reply (504).
	HeaderTimeout time.Duration `env:"TOLLBOOK_UPSTREAM_HEADER_TIMEOUT" envDefault:"60s" min:"1ms" max:"1h"`
}

// upstream checks the upstream's URL and Host.
func (c checker) upstream() {
	u := &c.cfg.Upstream
	switch {
	case u.URL == nil && c.good(&u.URL):
		c.fail(c.name(&u.URL), "is required; write where the protected API listens, e.g. %s; %s",
			c.of(&u.URL).example, c.fileNote())
	case u.URL != nil && c.good(&u.URL):
		c.refuse(&u.URL, checkUpstream(u.URL))
	}
	if c.good(&u.Host) && u.Host != "" {
		c.refuse(&u.Host, checkHost(u.Host))
	}
	if !c.good(&u.URL) {
		return
	}
	if u.URL.Scheme == "unix" {
		return
	}
	u.URL.Path = "" // a lone slash says no more than none
	if host := u.URL.Hostname(); !loopback(host) && !wildcard(host) {
		c.warn(c.name(&u.URL), "%s is not on this machine; make sure that no client can reach it "+
			"other than through tollbook, or %s proves nothing", show(host), c.cfg.UserIDHeader)
	}
}

// checkUpstream accepts http, https and h2c with a host alone, and unix with a
// path alone.
func checkUpstream(u *url.URL) error {
	switch u.Scheme {
	case "unix":
		return checkUnixURL(u)
	case "http", "https", "h2c":
	default:
		return fmt.Errorf("%s is no scheme for an upstream; write http://, https://, h2c:// "+
			"or unix:///path", show(u.Scheme))
	}
	if err := checkHost(u.Host); err != nil {
		return err
	}
	if rest := (u.Path != "" && u.Path != "/") || hasTail(u); rest {
		return fmt.Errorf("requests keep their own path and query; write %s://%s", u.Scheme, u.Host)
	}
	return nil
}

func checkUnixURL(u *url.URL) error {
	if u.Host != "" || hasTail(u) {
		return errors.New("a unix upstream is a path alone; write unix:///path")
	}
	return checkSocket(u.Path)
}

// hasTail reports whether a query or fragment, even an empty one, ends u.
func hasTail(u *url.URL) bool {
	return u.RawQuery != "" || u.ForceQuery || u.Fragment != ""
}

// checkHost accepts host or host:port, as it stands in a URL.
func checkHost(text string) error {
	addr := text
	if u := (url.URL{Host: text}); u.Port() == "" {
		addr += ":1"
	}
	if strings.HasPrefix(addr, ":") || checkHostPort(addr, 1) != nil {
		return fmt.Errorf("%s is not host or host:port", show(text))
	}
	return nil
}
