package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// checker looks at settings that were parsed, and at how they go together. Every
// check asks first whether its fields parsed: one mistake is reported once.
type checker struct {
	*loader
	settings []setting
	cfg      *config
}

// check completes cfg and records every mistake left in it.
func (l *loader) check(cfg *config) {
	c := checker{loader: l, settings: settingsOf(cfg), cfg: cfg}
	c.issuer()
	c.keySource()
	c.audience()
	c.parties()
	c.backendAPI()
	c.upstream()
	c.addresses()
	c.headers()
	c.events()
	c.responseFields()
	c.signingKey()
	c.foreignKey()
}

// of is settingOf.
func (c checker) of(field any) setting { return settingOf(c.settings, field) }

func (c checker) name(field any) string { return c.of(field).name }

// isSet reports whether the setting was given, be it by a bad value.
func (c checker) isSet(field any) bool {
	return slices.ContainsFunc(c.of(field).names(), func(name string) bool {
		return c.vars[name] != ""
	})
}

// good reports whether no mistake is known about any of the fields.
func (c checker) good(fields ...any) bool {
	return !slices.ContainsFunc(fields, func(f any) bool { return c.failed(c.name(f)) })
}

// refuse records err, if it is one, as a mistake of the field.
func (c checker) refuse(field any, err error) {
	if err != nil {
		c.fail(c.name(field), "%v", err)
	}
}

// signingKey checks the key of the trail.
func (c checker) signingKey() {
	if key := &c.cfg.Audit.SigningKey; c.good(key) {
		_, err := c.cfg.Audit.signingKey()
		c.refuse(key, err)
	}
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

// addresses checks that nothing of ours is in the way of anything else of ours.
func (c checker) addresses() {
	cfg := c.cfg
	admin := listenAddr{"tcp", string(cfg.Admin.Addr)}
	if c.good(&cfg.ListenAddr, &cfg.Admin.Addr) && overlap(cfg.ListenAddr, admin) {
		c.fail(c.name(&cfg.Admin.Addr), "%s is taken by %s (%s); write another port",
			show(admin.String()), c.name(&cfg.ListenAddr), cfg.ListenAddr)
	}
	if !c.good(&cfg.Upstream.URL) {
		return
	}
	target := cfg.Upstream.URL
	if c.good(&cfg.ListenAddr) && reaches(dialAddr(target), cfg.ListenAddr) {
		c.fail(c.name(&cfg.Upstream.URL), "%s is our own %s, so requests would come back; "+
			"write where the protected API listens", showURL(target), c.name(&cfg.ListenAddr))
	}
	if c.good(&cfg.Admin.Addr) && reaches(dialAddr(target), admin) {
		c.fail(c.name(&cfg.Upstream.URL), "%s is our own %s; "+
			"write where the protected API listens", showURL(target), c.name(&cfg.Admin.Addr))
	}
}

// foreignKey warns of a key that stands where it is not read.
func (c checker) foreignKey() {
	pem := &c.cfg.Clerk.PEMPublicKey
	if c.vars[foreignKeyName] != "" && !c.isSet(pem) {
		c.warn(foreignKeyName, "is not read; to use the key in it, set %s", c.name(pem))
	}
}
