package main

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"tollbook/proxy/clerk"
)

// jwksPath is where every Clerk instance serves its keys, under its issuer.
const jwksPath = "/.well-known/jwks.json"

// issuer checks the issuer, deriving it from the publishable key where only that
// is set.
func (c checker) issuer() {
	k := &c.cfg.Clerk
	var derived string
	if c.good(&k.PublishableKey) && k.PublishableKey != "" {
		var err error
		derived, err = clerk.IssuerFromPublishableKey(k.PublishableKey)
		c.refuse(&k.PublishableKey, ownWords(err))
	}
	if c.good(&k.Issuer) && k.Issuer != "" {
		c.refuse(&k.Issuer, ownWords(clerk.CheckIssuer(k.Issuer)))
	}
	if !c.good(&k.Issuer, &k.PublishableKey) {
		return
	}
	switch {
	case k.Issuer == "" && derived == "":
		c.noIssuer()
	case k.Issuer == "":
		k.Issuer = derived
	case derived != "" && derived != k.Issuer:
		c.fail(c.name(&k.Issuer), "%s is not the issuer in %s, which is %q; "+
			"correct one of the two, or unset it", show(k.Issuer), c.name(&k.PublishableKey), derived)
	}
}

// noIssuer says what to set, and why a key alone is not enough.
func (c checker) noIssuer() {
	k := &c.cfg.Clerk
	what := "there is no key to check tokens with, and no issuer to fetch keys from"
	if c.isSet(&k.PEMPublicKey) || c.isSet(&k.JWKSURL) || c.isSet(&k.JWKSFile) {
		what = "a key alone does not say whose tokens are good"
	}
	c.fail(c.name(&k.Issuer), "%s; write your Clerk Frontend API URL, e.g. %s, or set %s; %s",
		what, c.of(&k.Issuer).example, c.name(&k.PublishableKey), c.fileNote())
}

// ownWords is err without the package's name, which is no part of a setting.
func ownWords(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), "clerk: "))
}

// keySource sees to it that exactly one source of keys is left.
func (c checker) keySource() {
	c.publicKey()
	c.jwks()
	k := &c.cfg.Clerk
	var sources []string
	for _, field := range []any{&k.PEMPublicKey, &k.JWKSURL, &k.JWKSFile} {
		if c.isSet(field) {
			sources = append(sources, c.name(field))
		}
	}
	switch {
	case len(sources) > 1:
		c.fail(sources[0], "%s are set, and keys have one source; unset all but one",
			strings.Join(sources, " and "))
	case len(sources) == 0 && c.good(&k.Issuer, &k.PublishableKey):
		k.JWKSURL = k.Issuer + jwksPath
	}
}

// publicKey checks a PEM as far as it was read.
func (c checker) publicKey() {
	k := &c.cfg.Clerk
	if k.PEMPublicKey == "" {
		return
	}
	_, err := clerk.ParsePEM(string(k.PEMPublicKey))
	c.refuse(&k.PEMPublicKey, ownWords(err))
}

// jwks checks a URL or file that was set.
func (c checker) jwks() {
	k := &c.cfg.Clerk
	if k.JWKSURL != "" && c.good(&k.JWKSURL) {
		u, err := parseURL(c.of(&k.JWKSURL), k.JWKSURL)
		if err == nil {
			err = checkJWKSURL(&u, c.of(&k.JWKSURL).example)
		}
		c.refuse(&k.JWKSURL, err)
	}
	if c.good(&k.JWKSFile) && strings.Contains(k.JWKSFile, "://") {
		c.fail(c.name(&k.JWKSFile), "%s is a URL, not a file; set %s instead",
			show(k.JWKSFile), c.name(&k.JWKSURL))
	}
}

// checkJWKSURL accepts what [clerk.KeyConfig] fetches keys from: https, or http
// on a loopback host.
func checkJWKSURL(u *url.URL, example string) error {
	if u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "" || checkHost(u.Host) != nil {
		return fmt.Errorf("%s is not an https URL of a key set; write e.g. %s",
			showURL(u), example)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return fmt.Errorf("%s is plain http to another machine, so keys could be replaced on "+
			"the way; write https://", showURL(u))
	}
	return nil
}

// audience refuses a check that would only seem to happen.
func (c checker) audience() {
	if aud := &c.cfg.Clerk.JWTAudience; c.isSet(aud) {
		c.fail(c.name(aud), "must be unset: Clerk's session tokens have no aud claim, "+
			"and it would not be checked; remove it")
	}
}

// parties checks that every party is what a browser or app really sends.
func (c checker) parties() {
	k := &c.cfg.Clerk
	for _, party := range k.AuthorizedParties {
		c.refuse(&k.AuthorizedParties, checkParty(party))
	}
	if k.AllowMissingAZP && !c.isSet(&k.AuthorizedParties) {
		c.warn(c.name(&k.AllowMissingAZP), "has no effect unless %s is set",
			c.name(&k.AuthorizedParties))
	}
}

// defaultPorts are those that a browser leaves out of an Origin.
var defaultPorts = map[string]string{"http": "80", "https": "443"}

// checkParty accepts an origin as browsers write it (RFC 6454, section 6.2:
// lower case, no default port), or scheme://id of a native app or extension.
func checkParty(party string) error {
	u, err := url.Parse(party)
	switch {
	case strings.Contains(party, "*"):
		return fmt.Errorf("%s: wildcards are not matched; list each origin", show(party))
	case err != nil || u.Scheme == "" || u.Host == "" || u.User != nil ||
		strings.ContainsAny(party, " \t") || u.Hostname() == "":
		return fmt.Errorf("%s is not an origin; write e.g. https://app.example.com", show(party))
	}
	origin := u.Scheme + "://" + strings.ToLower(u.Host)
	if port, ok := defaultPorts[u.Scheme]; ok {
		origin = strings.TrimSuffix(origin, ":"+port)
	}
	if strings.ContainsFunc(origin, func(r rune) bool { return r > unicode.MaxASCII }) {
		return fmt.Errorf("%s is not how an origin is sent; write its name in ASCII, xn--…",
			show(party))
	}
	if party != origin {
		return fmt.Errorf("%s is not how an origin is sent; write %s", show(party), origin)
	}
	return nil
}

// secretKey is the shape of Clerk's secret keys.
var secretKey = regexp.MustCompile(`^sk_(test|live)_[A-Za-z0-9]+$`)

// backendAPI checks what goes out to Clerk with the secret key.
func (c checker) backendAPI() {
	k := &c.cfg.Clerk
	if k.SecretKey != "" && !secretKey.MatchString(string(k.SecretKey)) {
		c.fail(c.name(&k.SecretKey), "is not a Clerk secret key; "+
			"write the whole sk_test_… or sk_live_…, without quotes or spaces")
	}
	if u := k.APIURL; c.good(&k.APIURL) && u != nil {
		safe := u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
		if !safe || checkHost(u.Host) != nil || hasTail(u) || strings.HasSuffix(u.Path, "/") {
			c.fail(c.name(&k.APIURL), "%s is not an https URL without a slash at its end; write e.g. %s",
				showURL(u), c.of(&k.APIURL).example)
		}
	}
}
