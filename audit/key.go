package audit

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// AnyLog is the name of a key that may sign for every log that it is given to.
// Other keys are named after the one log that they are for: its origin.
const AnyLog = "tollbook"

// origin is the first line of a log's checkpoints, and the name under which they
// are signed.
func origin(logID string) string { return AnyLog + "/" + logID }

// Parts of the encodings of keys (golang.org/x/mod/sumdb/note).
const (
	privatePrefix = "PRIVATE+KEY+"
	algEd25519    = 1
)

// A SigningKey signs checkpoints (Ed25519, RFC 8032). The zero value is none. It
// prints as its name alone.
type SigningKey struct {
	name string // AnyLog, or the origin of the one log that it is for
	// seed is the private key; nil if there is none. It is behind a pointer, which
	// is all that package fmt prints of it where it can't call a method.
	seed *string
}

// NewSigningKey makes a key that may sign for any log.
func NewSigningKey() SigningKey { return newSigningKey(AnyLog) }

func newSigningKey(name string) SigningKey {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails (crypto/rand)
	return signingKey(name, seed)
}

func signingKey(name string, seed []byte) SigningKey {
	secret := string(seed)
	return SigningKey{name, &secret}
}

var errSigningKey = errors.New("audit: not a signing key: want one line of the form " +
	privatePrefix + AnyLog + "+<hash>+<base64>, as `tollbook audit key --new` prints it")

// ParseSigningKey reads a key in the encoding of a note's signer key. Errors
// hold nothing of the text.
func ParseSigningKey(text string) (SigningKey, error) {
	encoded, ok := strings.CutPrefix(text, privatePrefix)
	parts := strings.SplitN(encoded, "+", 3)
	if _, err := note.NewSigner(text); err != nil || !ok || len(parts) != 3 {
		return SigningKey{}, errSigningKey
	}
	data, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(data) != 1+ed25519.SeedSize || data[0] != algEd25519 {
		return SigningKey{}, errSigningKey
	}
	k := signingKey(parts[0], data[1:])
	logID, ofOne := strings.CutPrefix(k.name, AnyLog+"/")
	if k.name != AnyLog && (!ofOne || !isID(logID)) || k.Private() != text {
		return SigningKey{}, errSigningKey
	}
	return k, nil
}

// Private returns the encoding that [ParseSigningKey] reads: a secret.
func (k SigningKey) Private() string {
	data := append([]byte{algEd25519}, *k.seed...)
	hash := strings.SplitN(k.verifierKey(k.name), "+", 3)[1]
	return privatePrefix + k.name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(data)
}

// String returns the key's name, which is no secret.
func (k SigningKey) String() string { return "signing key " + k.name }

// Format writes String, whatever the verb.
func (k SigningKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// none reports whether k is no key.
func (k SigningKey) none() bool { return k.seed == nil }

// same reports whether both are the same key, whatever they are named.
func (k SigningKey) same(other SigningKey) bool {
	return !k.none() && !other.none() && *k.seed == *other.seed
}

// logID returns the one log that the key is for, "" if it may sign for any.
func (k SigningKey) logID() string {
	id, _ := strings.CutPrefix(k.name, AnyLog+"/")
	if id == AnyLog {
		return ""
	}
	return id
}

// verifierKey returns the public half, to verify what is signed under name.
func (k SigningKey) verifierKey(name string) string {
	public, _ := ed25519.NewKeyFromSeed([]byte(*k.seed)).Public().(ed25519.PublicKey)
	vkey, _ := note.NewEd25519VerifierKey(name, public) // fails for another length only
	return vkey
}

// vouch returns the signature, in base64, with which k lets another key follow.
func (k SigningKey) vouch(verifierKey string) string {
	private := ed25519.NewKeyFromSeed([]byte(*k.seed))
	text := "tollbook: the key that follows\n" + verifierKey + "\n" // no note begins like this
	return base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte(text)))
}

// VerifierKey returns the public half in the encoding of a note's verifier key,
// named as k is.
func (k SigningKey) VerifierKey() string { return k.verifierKey(k.name) }

// signer returns what signs as the log's origin.
func (k SigningKey) signer(logID string) (note.Signer, error) {
	if own := k.logID(); own != "" && own != logID {
		return nil, fmt.Errorf("the signing key is that of log %s, and this is log %s", own, logID)
	}
	return note.NewSigner(SigningKey{origin(logID), k.seed}.Private())
}

// A verifierKey is a public key that checkpoints are verified with.
type verifierKey struct {
	name string
	data string // what stands behind the hash
}

// parseVerifierKey reads the encoding of a note's verifier key.
func parseVerifierKey(text string) (verifierKey, error) {
	v, err := note.NewVerifier(text)
	parts := strings.SplitN(text, "+", 3)
	if err != nil || len(parts) != 3 {
		return verifierKey{}, errors.New("not a verifier key: want " + AnyLog +
			"/<log id>+<hash>+<base64>, as `tollbook audit key` prints it")
	}
	return verifierKey{v.Name(), parts[2]}, nil
}

// verifier returns what verifies the signatures of the log's origin.
func (k verifierKey) verifier(logID string) (note.Verifier, error) {
	if k.name != AnyLog && k.name != origin(logID) {
		return nil, fmt.Errorf("the key is not of this log (%s)", logID)
	}
	public, err := base64.StdEncoding.DecodeString(k.data)
	if err != nil || len(public) < 1 {
		return nil, errors.New("not a verifier key")
	}
	vkey, err := note.NewEd25519VerifierKey(origin(logID), public[1:])
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(vkey)
}

// same reports whether both verify the same signatures of the log.
func (k verifierKey) same(other verifierKey) bool { return k.data == other.data }
