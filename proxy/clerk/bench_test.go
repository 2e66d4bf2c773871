package clerk_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"tollbook/proxy/clerk/clerktest"
)

// BenchmarkVerify compares Verify with the floor under it: hashing the token and
// one bare RSA verification.
func BenchmarkVerify(b *testing.B) {
	token := key().Sign(claims(nil))
	b.Run("clerk", func(b *testing.B) {
		v := start(b)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("rsa", func(b *testing.B) {
		dot := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
		if err != nil {
			b.Fatal(err)
		}
		public, signed := key().Public(), []byte(token[:dot])
		b.ReportAllocs()
		for b.Loop() {
			digest := sha256.Sum256(signed)
			if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRefuse is the cost of tokens that anybody can send.
func BenchmarkRefuse(b *testing.B) {
	v := start(b)
	for name, token := range map[string]string{
		"dots":   strings.Repeat(".", 16<<10),
		"names":  key().SignRaw(goodHeader, manyNames()),
		"forged": clerktest.SharedKey("ins_other").Sign(claims(nil)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err == nil {
					b.Fatal("got a session, want a refusal")
				}
			}
		})
	}
}

// manyNames is the object with the most members that fits into a token.
func manyNames() string {
	var text strings.Builder
	for i := range 1300 {
		text.WriteString(`,"` + strconv.FormatInt(int64(i), 36) + `":0`)
	}
	return "{" + text.String()[1:] + "}"
}
