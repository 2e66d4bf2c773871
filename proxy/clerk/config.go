package clerk

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// defaultRefresh is how often keys are fetched when nothing else is said.
	defaultRefresh = 10 * time.Minute
	// minRefresh keeps a mistyped unit from hammering the issuer.
	minRefresh = time.Second
	// maxLeeway is five token lifetimes; a clock worse than that needs mending.
	maxLeeway = 5 * time.Minute
)

// Config says which tokens a Verifier accepts. Only Issuer is required. New reads
// it once; the slices must not be changed afterwards.
type Config struct {
	// Issuer is what iss must equal, byte for byte: https://host, without a
	// trailing slash (see CheckIssuer).
	Issuer string

	// Keys is the one source of keys. The zero value fetches the issuer's own
	// set, Issuer + "/.well-known/jwks.json".
	Keys KeyConfig

	// Leeway is how far the issuer's clock and ours may disagree: it is granted
	// to exp, iat and nbf alike. 0 means none; at most 5 minutes.
	Leeway time.Duration

	// AuthorizedParties are the azp values (browser origins) that are accepted,
	// compared exactly. Empty means azp is not checked.
	AuthorizedParties []string

	// AllowMissingAZP accepts tokens without azp although AuthorizedParties is
	// set: those minted by Clerk's Backend API and by native apps have none.
	AllowMissingAZP bool

	// AcceptTemplates also accepts JWT template tokens. They may live for years,
	// outlive sign-out, and have no session id.
	AcceptTemplates bool

	// AcceptPending also accepts sessions with sts "pending": the user still owes
	// a step, such as choosing an organisation or a second factor.
	AcceptPending bool

	// HeaderClaims are the claims copied into Session.Claims because they become
	// headers, named as in the payload. org_id, org_role, org_slug and
	// org_permissions are found in version 1 and version 2 tokens alike and have
	// version 1's form (role "org:admin"; permissions joined by commas).
	HeaderClaims []string

	// Now is the clock for exp, iat and nbf, for the age of keys and for the
	// time between forced refreshes. Nil means time.Now. It must be safe for
	// concurrent use.
	Now func() time.Time

	// OnKeys is told of every change of the key set (the first set is one), of
	// every failed fetch, and of the first good fetch after failed ones. Calls
	// never overlap and no lock is held, but the next refresh waits for it: it
	// may write to disk and must not call Close. Calls for the first set come
	// from within New. Nil means nobody wants to know.
	OnKeys func(KeysEvent)
}

// KeyConfig names the source of keys: at most one of PEM, URL and File. The zero
// value is the issuer's own key set.
type KeyConfig struct {
	// PEM is one RSA public key in any shape ParsePEM takes. It is used for every
	// token whatever its kid, and is never refreshed.
	PEM string

	// URL is where a JSON Web Key Set (RFC 7517 §5) is fetched: https, or http on
	// a loopback host. Redirects are followed on that host only.
	URL string

	// File is the path of a JSON Web Key Set, read again on every refresh.
	File string

	// Refresh is the time between two background refreshes; up to a tenth less,
	// at random, so that a fleet does not ask at once. 0 means 10 minutes; less
	// than a second is refused. Without meaning for PEM.
	Refresh time.Duration

	// Client fetches URL. Nil means one made for it, which uses no HTTP proxy.
	// Whatever the client, a fetch takes 5 seconds and 1 MiB at most, and a
	// redirect to another host is refused. The client is not closed.
	Client *http.Client
}

// KeysEvent is the outcome of one fetch of the key set. With Err it failed and
// the keys held before, if any, still serve; without Err, Added and Removed say
// what changed, and both are empty when a fetch succeeds again after failing.
type KeysEvent struct {
	Added, Removed []KeyInfo
	Err            error
}

// KeyInfo names a public key. It is comparable and safe to print.
type KeyInfo struct {
	// ID is the key's kid; "" for a PEM key or an entry without kid. Clerk's is
	// the instance id, so a rotated key can come back under the same ID.
	ID string
	// SHA256 is the key's JWK thumbprint (RFC 7638) in lower-case hexadecimal.
	SHA256 string
}

// withDefaults returns the configuration with its zero values replaced.
func (c Config) withDefaults() Config {
	if c.Keys.PEM == "" && c.Keys.URL == "" && c.Keys.File == "" {
		c.Keys.URL = c.Issuer + jwksPath
	}
	if c.Keys.Refresh == 0 {
		c.Keys.Refresh = defaultRefresh
	}
	if c.Keys.Client == nil {
		c.Keys.Client = newClient()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.OnKeys == nil {
		c.OnKeys = func(KeysEvent) {}
	}
	return c
}

// check reports everything that is wrong at once.
func (c Config) check() error {
	errs := []error{checkIssuer(c.Issuer), c.Keys.check()}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		errs = append(errs, fmt.Errorf("leeway %s: want 0s to %s", c.Leeway, maxLeeway))
	}
	if slices.Contains(c.AuthorizedParties, "") {
		errs = append(errs, errors.New("authorized parties: one of them is empty"))
	}
	for i, name := range c.HeaderClaims {
		if name == "" || slices.Contains(c.HeaderClaims[:i], name) {
			errs = append(errs, fmt.Errorf("header claim %q: empty or named twice", name))
		}
	}
	return errors.Join(errs...)
}

func (k KeyConfig) check() error {
	var named []string
	for _, source := range []struct{ name, value string }{
		{"PEM", k.PEM}, {"URL", k.URL}, {"file", k.File},
	} {
		if source.value != "" {
			named = append(named, source.name)
		}
	}
	if len(named) > 1 {
		return fmt.Errorf("key source: %s are set; want one of them", strings.Join(named, " and "))
	}
	if k.Refresh < 0 || k.Refresh > 0 && k.Refresh < minRefresh {
		return fmt.Errorf("key refresh %s: want %s or more", k.Refresh, minRefresh)
	}
	if k.URL != "" {
		return checkKeyURL(k.URL)
	}
	return nil
}
