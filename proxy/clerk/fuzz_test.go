package clerk_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

// FuzzVerify holds two things for every input: Verify does not panic, and what it
// accepts, or says to be of a known user, is signed by the key.
func FuzzVerify(f *testing.F) {
	v := start(f)
	good := key().Sign(claims(nil))
	f.Add(good)
	f.Add(withHeader(`{"alg":"none"}`))
	f.Add(clerktest.SharedKey("ins_other").Sign(claims(nil)))
	f.Add(strings.Repeat(".", 100))
	f.Add("ak_123")
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := v.Verify(context.Background(), raw)
		if (s == nil) == (err == nil) {
			t.Fatalf("got %+v and %v, want one of them", s, err)
		}
		var refused *clerk.TokenError
		if err != nil && !errors.As(err, &refused) {
			t.Fatalf("got error %v, want a TokenError", err)
		}
		if (s != nil || refused.Session != nil) && !signedByKey(raw) {
			t.Fatalf("%q was believed without the key", raw)
		}
	})
}

// signedByKey verifies the signature with the standard library alone.
func signedByKey(raw string) bool {
	dot := strings.LastIndexByte(raw, '.')
	signature, err := base64.RawURLEncoding.DecodeString(raw[dot+1:])
	digest := sha256.Sum256([]byte(raw[:dot]))
	return err == nil &&
		rsa.VerifyPKCS1v15(key().Public(), crypto.SHA256, digest[:], signature) == nil
}

// FuzzClaims signs any payload: no claims make Verify panic or return a session
// whose strings could break a header.
func FuzzClaims(f *testing.F) {
	v := start(f, func(c *clerk.Config) {
		c.HeaderClaims = []string{"email", "org_id", "org_role", "org_permissions", "plan"}
	})
	f.Add(payload(nil))
	act := map[string]any{"sub": "user_a"}
	f.Add(payload(map[string]any{"act": act, "email": "ä@b.c", "plan": "x"}))
	f.Add(payload(map[string]any{"exp": literal("1772366460.5e0"), "aud": []string{"x"}}))
	f.Add(payload(map[string]any{
		"o": map[string]any{"id": "org_1", "rol": "admin", "per": "a,b", "fpm": "3"}, "fea": "o:x",
	}))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 8<<10 {
			return
		}
		s, err := v.Verify(context.Background(), key().SignRaw(goodHeader, text))
		if err != nil {
			return
		}
		texts := []string{s.UserID, s.SessionID, s.AuthorizedParty, s.JWTID, s.KeyID, s.OrgID}
		for _, text := range s.Claims {
			texts = append(texts, text)
		}
		for _, text := range texts {
			if len(text) > 256 || text != strings.TrimSpace(text) ||
				strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("got %q, want printable ASCII", text)
			}
		}
		if !strings.HasPrefix(s.UserID, "user_") || s.SessionID == "" {
			t.Fatalf("got %+v, want a user's session", s)
		}
	})
}
