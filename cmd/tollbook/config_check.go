package main

import "slices"

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
	c.upstreamTLS()
	c.addresses()
	c.ownTLS()
	c.trustedProxies()
	c.tokenCookie()
	c.publicRoutes()
	c.origins()
	c.reasonMethods()
	c.headers()
	c.allowHeaders()
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
