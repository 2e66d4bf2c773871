package clerk

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

const (
	// maxKeys bounds a key set; an instance has one key, two while it rotates.
	maxKeys = 64
	// maxSkips bounds how many unusable entries an error describes.
	maxSkips = 4
)

// publicKey is a usable key and what it is called.
type publicKey struct {
	info KeyInfo
	key  *rsa.PublicKey
}

// keySet is an immutable set of keys, in the order of their source. Two sets with
// the same keys are the same set (see keyring), so comparing pointers tells
// whether anything changed.
type keySet struct {
	keys   []publicKey
	anyKid bool // a PEM key: serves tokens whatever their kid
}

// pemSet returns the set of one key without kid.
func pemSet(s string) (*keySet, error) {
	key, err := ParsePEM(s)
	if err != nil {
		return nil, err
	}
	info := KeyInfo{SHA256: thumbprint(key)}
	return &keySet{keys: []publicKey{{info, key}}, anyKid: true}, nil
}

// parseKeySet reads a JSON Web Key Set (RFC 7517 §5). Entries that are not RSA
// signing keys of a safe size are skipped; a set without any other is an error.
func parseKeySet(data []byte) (*keySet, error) {
	members, err := scanObject(string(data), nil)
	if err != nil {
		return nil, fmt.Errorf("the key set %w", err)
	}
	keys := find(members, "keys")
	if keys.kind != kindArray {
		return nil, errors.New(`the key set has no array "keys"`)
	}
	entries, ok := scanArray(keys.raw, maxKeys)
	if !ok {
		return nil, fmt.Errorf("the key set has more than %d keys", maxKeys)
	}
	set := &keySet{}
	var skipped []string
	for _, entry := range entries {
		k, err := parseEntry(entry)
		if err != nil {
			skipped = append(skipped, err.Error())
			continue
		}
		if !slices.ContainsFunc(set.keys, func(other publicKey) bool { return other.info == k.info }) {
			set.keys = append(set.keys, k)
		}
	}
	if len(set.keys) == 0 {
		return nil, noUsableKey(skipped)
	}
	return set, nil
}

func noUsableKey(skipped []string) error {
	if len(skipped) == 0 {
		return errors.New("the key set is empty")
	}
	return fmt.Errorf("the key set has no RSA key usable for RS256 (%s)",
		strings.Join(skipped[:min(len(skipped), maxSkips)], "; "))
}

// parseEntry reads one JSON Web Key. Only n and e are handed on for import.
func parseEntry(entry value) (publicKey, error) {
	if entry.kind != kindObject {
		return publicKey{}, errors.New("an entry is not an object")
	}
	members, err := scanObject(entry.raw, nil)
	if err != nil {
		return publicKey{}, fmt.Errorf("an entry %w", err)
	}
	kid, err := usableKid(members)
	if err != nil {
		return publicKey{}, err
	}
	if find(members, "d").kind != kindAbsent {
		return publicKey{}, errors.New("an entry is a private key")
	}
	n, e := find(members, "n"), find(members, "e")
	if n.kind != kindString || e.kind != kindString {
		return publicKey{}, errors.New("an entry has no n or e")
	}
	key, err := importRSA(n, e)
	if err != nil {
		return publicKey{}, fmt.Errorf("an entry %w", err)
	}
	return publicKey{KeyInfo{ID: kid, SHA256: thumbprint(key)}, key}, nil
}

// usableKid checks that an entry is meant for RS256 signatures and returns its
// kid, "" without one.
func usableKid(members []member) (string, error) {
	for _, p := range []struct {
		name, want string
		required   bool
	}{{"kty", "RSA", true}, {"use", "sig", false}, {"alg", "RS256", false}} {
		v := find(members, p.name)
		if v.kind == kindAbsent && !p.required {
			continue
		}
		if v.kind != kindString || unquote(v.raw) != p.want {
			return "", fmt.Errorf("an entry's %s is not %s", p.name, p.want)
		}
	}
	kid := find(members, "kid")
	if kid.kind == kindAbsent {
		return "", nil
	}
	text, err := printableText(kid, "kid")
	if err != nil {
		return "", fmt.Errorf("an entry's %w", err)
	}
	return text, nil
}

func importRSA(n, e value) (*rsa.PublicKey, error) {
	imported, err := jwk.ParseKey(fmt.Appendf(nil, `{"kty":"RSA","n":%s,"e":%s}`, n.raw, e.raw))
	if err != nil {
		return nil, errors.New("is not an RSA key")
	}
	// jwx narrows e to an int without looking at what is cut off.
	k, ok := imported.(jwk.RSAPublicKey)
	if !ok || len(bytes.TrimLeft(k.E(), "\x00")) > 4 {
		return nil, errors.New("is an RSA key with an unsafe public exponent")
	}
	var key rsa.PublicKey
	if err := k.Raw(&key); err != nil {
		return nil, errors.New("is not an RSA key")
	}
	return &key, checkRSA(&key)
}

// verify returns nil when a key of the set that may have signed t did. Keys under
// the same kid are all tried; so are all of the set for a token without kid.
func (s *keySet) verify(t *token) error {
	known := false
	for i := range s.keys {
		k := &s.keys[i]
		if !s.anyKid && t.header.hasKid && k.info.ID != t.header.kid {
			continue
		}
		known = true
		if rs256.Verify(t.signed, t.signature, k.key) == nil {
			return nil
		}
	}
	if !known {
		return refuse(ReasonTokenKeyUnknown, "no key of the issuer has the token's kid")
	}
	return refuse(ReasonTokenSignatureInvalid, "")
}

// infos returns what the keys are called.
func (s *keySet) infos() []KeyInfo {
	if s == nil {
		return nil
	}
	infos := make([]KeyInfo, len(s.keys))
	for i, k := range s.keys {
		infos[i] = k.info
	}
	return infos
}

// rs256 is the signature primitive (RFC 7518 §3.3). It is the only one, so no
// token can ask for another.
var rs256 = mustRS256()

func mustRS256() jws.Verifier {
	v, err := jws.NewVerifier(jwa.RS256)
	if err != nil {
		panic("clerk: jwx without RS256: " + err.Error())
	}
	return v
}
