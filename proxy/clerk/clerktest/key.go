package clerktest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"sync"
)

// keyBits is the size of Clerk's keys.
const keyBits = 2048

// CategorySession is the header parameter cat of a session token.
const CategorySession = "cl_B7d4PD111AAA"

// CategoryTemplate is the header parameter cat of a JWT template token.
const CategoryTemplate = "cl_B7d4PD222AAA"

// Key is an instance's signing key. It is immutable and safe for concurrent use.
type Key struct {
	id      string
	private *rsa.PrivateKey
}

// NewKey makes an RSA-2048 key with this kid. It takes a tenth of a second or so.
func NewKey(kid string) *Key {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		panic("clerktest: generating a key: " + err.Error())
	}
	return &Key{id: kid, private: private}
}

var shared = struct {
	sync.Mutex
	keys map[string]*Key
}{keys: make(map[string]*Key)}

// SharedKey returns the process's key with this kid, made on first use. It spares
// tests the time to make their own; safe for concurrent use.
func SharedKey(kid string) *Key {
	shared.Lock()
	defer shared.Unlock()
	k := shared.keys[kid]
	if k == nil {
		k = NewKey(kid)
		shared.keys[kid] = k
	}
	return k
}

// ID returns the kid.
func (k *Key) ID() string { return k.id }

// Public returns the public half.
func (k *Key) Public() *rsa.PublicKey { return &k.private.PublicKey }

// Private returns the whole key, for tests that sign what Sign would not.
func (k *Key) Private() *rsa.PrivateKey { return k.private }

// WithID returns the same key under another kid.
func (k *Key) WithID(kid string) *Key { return &Key{id: kid, private: k.private} }

// PEM returns the public key as -----BEGIN PUBLIC KEY-----, with real newlines.
func (k *Key) PEM() string {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		panic("clerktest: encoding a key: " + err.Error())
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// JWK returns the public key as an entry of Clerk's key set. The map is the
// caller's, to change for a test.
func (k *Key) JWK() map[string]any {
	return map[string]any{
		"use": "sig",
		"kty": "RSA",
		"kid": k.id,
		"alg": "RS256",
		"n":   encode(k.private.N.Bytes()),
		"e":   encode(big.NewInt(int64(k.private.E)).Bytes()),
	}
}

// Header changes the header of a token that is being made.
type Header func(map[string]any)

// WithHeader sets a header parameter.
func WithHeader(name string, value any) Header {
	return func(h map[string]any) { h[name] = value }
}

// WithoutHeader leaves a header parameter out.
func WithoutHeader(name string) Header {
	return func(h map[string]any) { delete(h, name) }
}

// Sign returns a session token with these claims: a compact JWS whose header is
// Clerk's {"alg":"RS256","cat":…,"kid":…,"typ":"JWT"} with the changes asked for.
// The signature is RS256's even if the header says otherwise.
func (k *Key) Sign(claims map[string]any, changes ...Header) string {
	header := map[string]any{
		"alg": "RS256", "cat": CategorySession, "kid": k.id, "typ": "JWT",
	}
	for _, change := range changes {
		change(header)
	}
	return k.SignRaw(marshal(header), marshal(claims))
}

// SignRaw returns a compact JWS of a header and payload that may be any bytes,
// signed with RS256.
func (k *Key) SignRaw(header, payload string) string {
	signed := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.private, crypto.SHA256, digest[:])
	if err != nil {
		panic("clerktest: signing: " + err.Error())
	}
	return signed + "." + encode(signature)
}

func encode(data []byte) string {
	return base64.RawURLEncoding.EncodeToString(data)
}

func marshal(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("clerktest: encoding JSON: " + err.Error())
	}
	return string(data)
}
