package clerk

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Verifier checks session tokens of one issuer. It is safe for concurrent use.
type Verifier struct {
	cfg  Config
	keys *keyring
}

// New returns a Verifier that refreshes its keys in the background until Close.
//
// The first fetch happens here, and takes 5 seconds at most; ctx bounds nothing
// else. An error means that the configuration is wrong: a bad setting, a PEM or
// file that holds no usable key, a URL that answers 404 or 410, or 200 without a
// usable key. A source that cannot be reached now (DNS, TLS, connect, timeout, 429,
// 5xx and the like) is no error: the Verifier is not Ready, and goes on trying.
func New(ctx context.Context, cfg Config) (*Verifier, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("clerk: %w", err)
	}
	v := &Verifier{cfg: cfg.withDefaults()}
	v.cfg.AuthorizedParties = slices.Clone(cfg.AuthorizedParties)
	v.cfg.HeaderClaims = slices.Clone(cfg.HeaderClaims)
	if cfg.Keys.PEM != "" {
		set, err := pemSet(cfg.Keys.PEM)
		if err != nil {
			return nil, err
		}
		v.keys = newStaticKeyring(set, &v.cfg)
		return v, nil
	}
	keys, err := newKeyring(ctx, &v.cfg)
	if err != nil {
		return nil, fmt.Errorf("clerk: %w", err)
	}
	v.keys = keys
	return v, nil
}

// Verify returns the session that the compact JWS raw stands for. The error is a
// *TokenError, or ErrKeysUnavailable when raw would need a key and there is none.
//
// Verify waits only for a token whose key is unknown or whose signature fails
// while a refresh may bring its key: 5 seconds at most, and not after ctx is done,
// when the token is refused for what is known. It never fetches what a token
// names. The Session must not be modified.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Session, error) {
	t, err := parseToken(raw)
	if err != nil {
		return nil, err
	}
	if err := v.keys.verify(ctx, t); err != nil {
		return nil, err
	}
	return v.cfg.judge(t, v.cfg.Now())
}

// Ready returns nil when there are keys to verify with; otherwise an error, which
// wraps ErrKeysUnavailable, says why not: none fetched yet, or not for 24 hours.
func (v *Verifier) Ready() error {
	if _, err := v.keys.usable(); err != nil {
		return fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
	}
	return nil
}

// Keys returns the keys held, in the order of their source; nil before the first
// good fetch. The slice is the caller's.
func (v *Verifier) Keys() []KeyInfo {
	if h := v.keys.held.Load(); h != nil {
		return h.set.infos()
	}
	return nil
}

// PublicPEM returns the key that Keys listed as info, as the PEM that ParsePEM and
// KeyConfig.PEM take. It is an error when the key has been withdrawn since.
func (v *Verifier) PublicPEM(info KeyInfo) (string, error) {
	if h := v.keys.held.Load(); h != nil {
		for _, k := range h.set.keys {
			if k.info == info {
				return encodePEM(k.key)
			}
		}
	}
	return "", errors.New("clerk: the key is not, or no longer, in the set")
}

// Close ends the background refresh and waits for it; a Verifier keeps verifying
// with the keys it has. Close must not be called from OnKeys. It may be called more
// than once, and always returns nil.
func (v *Verifier) Close() error {
	v.keys.close()
	return nil
}
