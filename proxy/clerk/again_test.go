package clerk_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

// That a token was accepted once says nothing of the next time.
func TestTokensAreJudgedAgainEachTime(t *testing.T) {
	t.Parallel()
	now := &clock{}
	s := serve(t, key())
	v := startWith(t, fromServer(s, now))
	token := tokenOf(s.Issuer(), key())
	verify := func(token, want string) {
		t.Helper()
		_, err := v.Verify(t.Context(), token)
		wantReason(t, err, want)
	}
	verify(token, "")
	verify(token, "")
	last := token[len(token)-4]
	other := byte('A')
	if last == other {
		other = 'B'
	}
	verify(token[:len(token)-4]+string(other)+token[len(token)-3:], clerk.ReasonTokenSignatureInvalid)
	verify(token, "")
	now.advance(60*time.Second - time.Second)
	verify(token, "")
	now.advance(time.Second)
	verify(token, clerk.ReasonTokenExpired)
}

func TestAcceptedTokensFallWithTheirKey(t *testing.T) {
	t.Parallel()
	now := &clock{}
	s := serve(t, key())
	v := startWith(t, fromServer(s, now))
	token := tokenOf(s.Issuer(), key())
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatalf("Verify: %v", err)
	}
	fresh := clerktest.SharedKey("ins_other").WithID(kid)
	s.SetKeys(fresh)
	if _, err := v.Verify(t.Context(), tokenOf(s.Issuer(), fresh)); err != nil {
		t.Fatalf("Verify with the new key: %v", err)
	}
	_, err := v.Verify(t.Context(), token)
	wantReason(t, err, clerk.ReasonTokenSignatureInvalid)
}

// A genuine ES256 signature, by the key in the token's own header, is no better
// than none.
func TestEllipticSignaturesAreRefused(t *testing.T) {
	t.Parallel()
	v := start(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := `"jwk":{"kty":"EC","crv":"P-256","x":"` + b64(point[1:33]) + `","y":"` +
		b64(point[33:]) + `"}`
	for alg, want := range map[string]string{
		"ES256": clerk.ReasonTokenAlgUnsupported, "RS256": clerk.ReasonTokenSignatureInvalid,
	} {
		signed := encoded(`{"alg":"`+alg+`","kid":"ins_test",`+jwk+`}`) + "." + encoded(payload(nil))
		digest := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		_, err = v.Verify(t.Context(), signed+"."+b64(signature))
		wantReason(t, err, want)
	}
}
