package clerk_test

import (
	"errors"
	"testing"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

// TestFirstFailureIsTheReason takes a token with everything wrong and mends one
// thing after the other: each time the next step must be the reason.
func TestFirstFailureIsTheReason(t *testing.T) {
	t.Parallel()
	v := start(t, func(c *clerk.Config) { c.AuthorizedParties = []string{"https://ours.example"} })
	bad := map[string]any{
		"iss": "https://evil.example", "exp": 1, "nbf": noon.Unix() + 99, "iat": noon.Unix() + 99,
		"sub": nil, "sid": nil, "sts": "pending", "azp": nil, "jti": 1,
	}
	signer, alg, category := clerktest.SharedKey("ins_other"), "HS256", "cl_B7d4PD333AAA"
	for _, step := range []struct {
		want string
		mend func()
	}{
		{clerk.ReasonTokenAlgUnsupported, func() { alg = "RS256" }},
		{clerk.ReasonTokenSignatureInvalid, func() { signer = key() }},
		{clerk.ReasonTokenIssuerInvalid, func() { bad["iss"] = issuer }},
		{clerk.ReasonTokenKindRefused, func() { category = clerktest.CategorySession }},
		{clerk.ReasonTokenExpired, func() { bad["exp"] = noon.Unix() + 60 }},
		{clerk.ReasonTokenNotYetValid, func() { bad["nbf"] = noon.Unix() }},
		{clerk.ReasonTokenNotYetValid, func() { bad["iat"] = noon.Unix() }},
		{clerk.ReasonTokenSubjectMissing, func() { bad["sub"] = user }},
		{clerk.ReasonTokenSessionMissing, func() { bad["sid"] = "sess_1" }},
		{clerk.ReasonTokenPending, func() { bad["sts"] = "active" }},
		{clerk.ReasonTokenAZPMissing, func() { bad["azp"] = "https://theirs.example" }},
		{clerk.ReasonTokenAZPInvalid, func() { bad["azp"] = "https://ours.example" }},
		{clerk.ReasonTokenClaimInvalid, func() { bad["jti"] = "jti_1" }},
		{"", func() {}},
	} {
		token := signer.Sign(claims(bad), clerktest.WithHeader("alg", alg), cat(category))
		_, err := v.Verify(t.Context(), token)
		wantReason(t, err, step.want)
		step.mend()
	}
}

func TestDetailsAreTheWordsClientsKnow(t *testing.T) {
	t.Parallel()
	v := start(t)
	_, missing := clerk.BearerToken(nil)
	for want, err := range map[string]error{
		"Not authenticated": missing,
		"Token expired":     verifyErr(t, v, withClaims(map[string]any{"exp": 1})),
		"Token validation failed: The token is not yet valid": verifyErr(t, v,
			withClaims(map[string]any{"nbf": noon.Unix() + 60})),
		"Invalid token signature": verifyErr(t, v, clerktest.SharedKey("ins_other").Sign(claims(nil))),
		"Invalid token issuer":    verifyErr(t, v, withClaims(map[string]any{"iss": "x"})),
		"Invalid token: missing user identifier": verifyErr(t, v,
			withClaims(map[string]any{"sub": nil})),
		"Token validation failed: alg is not RS256": verifyErr(t, v, withHeader(`{"alg":"none"}`)),
	} {
		if got := refusal(t, err).Detail; got != want {
			t.Errorf("got detail %q, want %q", got, want)
		}
	}
}

func verifyErr(t *testing.T, v *clerk.Verifier, token string) error {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	if err == nil {
		t.Fatal("got a session, want a refusal")
	}
	return err
}

func TestRefusalNamesTheUserOnlyOfAGenuineToken(t *testing.T) {
	t.Parallel()
	v := start(t)
	for name, c := range map[string]struct {
		token string
		user  string
		known bool
	}{
		"expired":       {withClaims(map[string]any{"exp": 1}), user, true},
		"pending":       {withClaims(map[string]any{"sts": "pending"}), user, true},
		"bad sub":       {withClaims(map[string]any{"sub": "user_\n"}), "", true},
		"machine":       {withClaims(map[string]any{"sub": "mch_1"}), "", true},
		"forged":        {clerktest.SharedKey("ins_other").Sign(claims(nil)), "", false},
		"other issuer":  {withClaims(map[string]any{"iss": "https://evil.example"}), "", false},
		"alg none":      {withHeader(`{"alg":"none"}`), "", false},
		"not even JSON": {"a.b.c", "", false},
	} {
		refused := refusal(t, verifyErr(t, v, c.token))
		if (refused.Session != nil) != c.known {
			t.Errorf("%s: got session %+v, want one: %v", name, refused.Session, c.known)
		}
		if refused.Session != nil && refused.Session.UserID != c.user {
			t.Errorf("%s: got user %q, want %q", name, refused.Session.UserID, c.user)
		}
	}
	s := refusal(t, verifyErr(t, v, withClaims(map[string]any{"exp": 1}))).Session
	if s.ExpiresAt.Seconds != 1 || s.SessionID == "" || s.KeyID != kid || s.IssuedAt.Seconds == 0 {
		t.Errorf("got %+v, want all that the expired token says", s)
	}
}

func TestReasonIsStable(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"keys_unavailable": errors.Join(clerk.ErrKeysUnavailable),
		"token_expired":    errors.Join(&clerk.TokenError{Reason: "token_expired"}),
		"":                 errors.New("anything else"),
	} {
		if got := clerk.Reason(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := clerk.Reason(nil); got != "" {
		t.Errorf("got %q for nil, want nothing", got)
	}
}
