package main

import "strings"

// tlsConfig is what clients are shown; none for plain HTTP.
type tlsConfig struct {
	// CertFile is a chain and KeyFile its key, as PEM; both "" or neither.
	CertFile string `env:"TOLLBOOK_TLS_CERT_FILE" example:"/etc/tollbook/tls.crt"`
	KeyFile  string `env:"TOLLBOOK_TLS_KEY_FILE" example:"/etc/tollbook/tls.key"`
}

// ownTLS checks our own certificate as far as its files' names go.
func (c checker) ownTLS() {
	t := &c.cfg.TLS
	c.pemFiles(&t.CertFile, &t.KeyFile)
	c.together(&t.CertFile, &t.KeyFile)
}

// upstreamTLS checks the files for an https upstream in the same way.
func (c checker) upstreamTLS() {
	u := &c.cfg.Upstream
	files := []*string{&u.CAFile, &u.CertFile, &u.KeyFile}
	c.pemFiles(files...)
	c.together(&u.CertFile, &u.KeyFile)
	if !c.good(&u.URL) || u.URL.Scheme == "https" {
		return
	}
	for _, f := range files {
		if c.good(f) && *f != "" {
			c.fail(c.name(f), "is for an https upstream, and %s is %s; write https:// there, "+
				"or unset this", c.name(&u.URL), showURL(u.URL))
		}
	}
}

// pemFiles refuses what can't be the name of a file.
func (c checker) pemFiles(files ...*string) {
	for _, f := range files {
		if c.good(f) && strings.Contains(*f, "://") {
			c.fail(c.name(f), "%s is a URL, not a file; write the path of a PEM file", show(*f))
		}
	}
}

// together refuses a certificate without its key, and the other way round.
func (c checker) together(cert, key *string) {
	for _, pair := range [][2]*string{{cert, key}, {key, cert}} {
		set, missing := pair[0], pair[1]
		if c.isSet(set) && !c.isSet(missing) && c.good(set) {
			c.fail(c.name(set), "needs %s beside it; set both or neither", c.name(missing))
		}
	}
}
