package main

import "fmt"

// corsConfig says what pages of other origins may do.
type corsConfig struct {
	// Preflight says what becomes of a preflight; see forwardPreflights.
	Preflight string `env:"TOLLBOOK_CORS_PREFLIGHT" envDefault:"deny" oneof:"deny|forward"`
	// Origins may read our own replies, each exactly as a browser sends it; nil
	// for none.
	Origins []string `env:"TOLLBOOK_CORS_ORIGINS" example:"https://app.example.com"`
}

// forwardPreflights reports whether preflights reach the upstream, rather than
// get 401.
func (c corsConfig) forwardPreflights() bool { return c.Preflight == "forward" }

// origins checks that every origin is one that a browser sends, and means one
// site.
func (c checker) origins() {
	for _, origin := range c.cfg.CORS.Origins {
		c.refuse(&c.cfg.CORS.Origins, checkOrigin(origin))
	}
}

func checkOrigin(origin string) error {
	switch origin {
	case "*":
		return fmt.Errorf("%q would let the pages of every site read our replies; "+
			"list each origin", origin)
	case "null":
		return fmt.Errorf("%q is what the sandboxed pages of every site send; "+
			"list each origin", origin)
	}
	return checkParty(origin)
}

// tokenCookie checks the cookie's name, and that not everybody can make use of
// it.
func (c checker) tokenCookie() {
	cookie, parties := &c.cfg.TokenCookie, &c.cfg.Clerk.AuthorizedParties
	if *cookie == "" || !c.good(cookie) {
		return
	}
	switch {
	case !httpToken.MatchString(*cookie) || len(*cookie) > maxName:
		c.fail(c.name(cookie), "%s is not the name of a cookie, %d characters at most; write e.g. %s",
			show(*cookie), maxName, c.of(cookie).example)
	case !c.isSet(parties):
		c.fail(c.name(cookie), "needs %s: a browser sends cookies with what the pages of other "+
			"sites ask for too (CSRF), so it must be known whose may; set it", c.name(parties))
	}
}
