package clerk_test

import (
	"maps"
	"strings"
	"testing"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

func TestSubjectAndSessionIDArePrintableOrRefused(t *testing.T) {
	t.Parallel()
	v := start(t)
	for _, prefix := range []struct{ claim, text string }{{"sub", "user_"}, {"sid", "sess_"}} {
		for name, value := range map[string]any{
			"CR": prefix.text + "a\rb", "LF": prefix.text + "a\nb", "NUL": prefix.text + "\x00",
			"DEL": prefix.text + "\x7f", "non-ASCII": prefix.text + "ä", "tab": prefix.text + "\t",
			"leading space": " " + prefix.text + "a", "trailing space": prefix.text + "a ",
			"257 bytes": prefix.text + strings.Repeat("a", 252), "number": 1, "array": []string{user},
			"object": map[string]any{}, "lone surrogate": literal(`"user_\ud800"`),
		} {
			_, err := v.Verify(t.Context(), withClaims(map[string]any{prefix.claim: value}))
			if got := clerk.Reason(err); got != clerk.ReasonTokenClaimInvalid {
				t.Errorf("%s with %s: got %q, want token_claim_invalid", prefix.claim, name, got)
			}
		}
		longest := prefix.text + strings.Repeat("a", 251)
		_, err := v.Verify(t.Context(), withClaims(map[string]any{prefix.claim: longest}))
		wantReason(t, err, "")
	}
	for _, sub := range []string{"user_", "user_1 user_2", "org_1", "User_1", "sess_1", "1"} {
		_, err := v.Verify(t.Context(), withClaims(map[string]any{"sub": sub}))
		wantReason(t, err, clerk.ReasonTokenClaimInvalid)
	}
}

func TestTemplateTokensNeedLeave(t *testing.T) {
	t.Parallel()
	v := start(t, func(c *clerk.Config) { c.AcceptTemplates = true })
	template := cat(clerktest.CategoryTemplate)
	noSID := claims(map[string]any{"sid": nil})
	for name, c := range map[string]struct{ token, want string }{
		"template":          {key().Sign(noSID, template), ""},
		"template with sid": {key().Sign(claims(nil), template), ""},
		"template, sid empty": {
			key().Sign(claims(map[string]any{"sid": ""}), template), clerk.ReasonTokenSessionMissing,
		},
		"session":             {key().Sign(claims(nil)), ""},
		"session without sid": {key().Sign(noSID), clerk.ReasonTokenSessionMissing},
		"no cat, no sid": {
			key().Sign(noSID, clerktest.WithoutHeader("cat")), clerk.ReasonTokenSessionMissing,
		},
		"cat unknown, no sid": {
			key().Sign(noSID, cat("cl_I7d4PD111III")), clerk.ReasonTokenSessionMissing,
		},
		"machine all the same": {
			key().Sign(noSID, cat("cl_B7d4PD333AAA")), clerk.ReasonTokenKindRefused,
		},
		"template for a machine": {
			key().Sign(claims(map[string]any{"sub": "mch_1"}), template), clerk.ReasonTokenKindRefused,
		},
	} {
		_, err := v.Verify(t.Context(), c.token)
		if got := clerk.Reason(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, c.want)
		}
	}
}

func TestPendingSessionsNeedLeave(t *testing.T) {
	t.Parallel()
	v := start(t, func(c *clerk.Config) { c.AcceptPending = true })
	_, err := v.Verify(t.Context(), withClaims(map[string]any{"sts": "pending"}))
	wantReason(t, err, "")
	_, err = v.Verify(t.Context(), withClaims(map[string]any{"sts": "revoked"}))
	wantReason(t, err, clerk.ReasonTokenClaimInvalid)
}

func TestAuthorizedPartyIsChecked(t *testing.T) {
	t.Parallel()
	const ours = "https://ours.example"
	for name, c := range map[string]struct {
		parties      []string
		allowMissing bool
		azp          any
		want         string
	}{
		"not configured":       {nil, false, "https://any.example", ""},
		"not configured, none": {nil, false, nil, ""},
		"ours":                 {[]string{"https://x.example", ours}, false, ours, ""},
		"other": {
			[]string{ours}, false, "https://theirs.example", clerk.ReasonTokenAZPInvalid,
		},
		"prefix": {[]string{ours}, false, ours + ".evil", clerk.ReasonTokenAZPInvalid},
		"upper case": {
			[]string{ours}, false, strings.ToUpper(ours), clerk.ReasonTokenAZPInvalid,
		},
		"missing":          {[]string{ours}, false, nil, clerk.ReasonTokenAZPMissing},
		"null":             {[]string{ours}, false, null{}, clerk.ReasonTokenAZPMissing},
		"empty":            {[]string{ours}, false, "", clerk.ReasonTokenAZPMissing},
		"missing, allowed": {[]string{ours}, true, nil, ""},
		"other, missing ok": {
			[]string{ours}, true, "https://theirs.example", clerk.ReasonTokenAZPInvalid,
		},
		"list":            {[]string{ours}, false, []string{ours}, clerk.ReasonTokenClaimInvalid},
		"list, unchecked": {nil, false, []string{ours}, clerk.ReasonTokenClaimInvalid},
	} {
		v := start(t, func(cfg *clerk.Config) {
			cfg.AuthorizedParties, cfg.AllowMissingAZP = c.parties, c.allowMissing
		})
		_, err := v.Verify(t.Context(), withClaims(map[string]any{"azp": c.azp}))
		if got := clerk.Reason(err); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestOptionalClaimsOfAWrongFormAreRefused(t *testing.T) {
	t.Parallel()
	v := start(t)
	for name, change := range map[string]map[string]any{
		"aud null":        {"aud": null{}},
		"aud number":      {"aud": 1},
		"aud mixed":       {"aud": []any{"x", 1}},
		"aud object":      {"aud": map[string]any{}},
		"jti number":      {"jti": 1},
		"jti with LF":     {"jti": "a\nb"},
		"email number":    {"email": 1},
		"act string":      {"act": "user_admin"},
		"act empty":       {"act": map[string]any{}},
		"act sub list":    {"act": map[string]any{"sub": []string{"user_admin"}}},
		"act sub with LF": {"act": map[string]any{"sub": "user_\n"}},
		"act Sub":         {"act": map[string]any{"Sub": "user_admin"}},
		"act sid number":  {"act": map[string]any{"sub": "user_admin", "sid": 1}},
		"fva string":      {"fva": "0,-1"},
		"fva of strings":  {"fva": []string{"0"}},
		"fva of floats":   {"fva": []any{literal("0.5")}},
		"fva too long":    {"fva": []int{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"o a string":      {"o": "org_1"},
		"o.id a number":   {"o": map[string]any{"id": 1}},
		"org_id, v1":      {"v": nil, "org_id": 1},
	} {
		_, err := v.Verify(t.Context(), withClaims(change))
		if got := clerk.Reason(err); got != clerk.ReasonTokenClaimInvalid {
			t.Errorf("%s: got %q, want token_claim_invalid", name, got)
		}
	}
}

func TestImpersonationNamesTheActor(t *testing.T) {
	t.Parallel()
	act := map[string]any{"sub": "user_admin", "sid": "sess_admin", "iss": "https://clerk.com"}
	s, err := start(t).Verify(t.Context(), withClaims(map[string]any{"act": act}))
	if err != nil {
		t.Fatal(err)
	}
	want := clerk.Actor{
		Subject: "user_admin", SessionID: "sess_admin", Issuer: "https://clerk.com",
	}
	if s.Actor == nil || *s.Actor != want || s.UserID != user {
		t.Errorf("got actor %+v for %s, want %+v for %s", s.Actor, s.UserID, want, user)
	}
}

func TestEmailIsKeptAsItIs(t *testing.T) {
	t.Parallel()
	for claim, want := range map[any]string{
		"jörg@example.com":      "jörg@example.com",
		"a@b.c\n":               "a@b.c\n",
		"a\u202e@b.c":           "a\u202e@b.c",
		literal(`"\ud800@b.c"`): "\xed\xa0\x80@b.c",
	} {
		s, err := start(t).Verify(t.Context(), withClaims(map[string]any{"email": claim}))
		if err != nil || s.Email != want {
			t.Errorf("%q: got %+v, %v, want %q", claim, s, err, want)
		}
	}
}

// headerClaims verifies a token with these changes and returns Session.Claims.
func headerClaims(
	t *testing.T, changes map[string]any, names ...string,
) (map[string]string, error) {
	t.Helper()
	v := start(t, func(c *clerk.Config) { c.HeaderClaims = names })
	s, err := v.Verify(t.Context(), withClaims(changes))
	if err != nil {
		return nil, err
	}
	return s.Claims, nil
}

func TestHeaderClaimsAreCopiedAsWritten(t *testing.T) {
	t.Parallel()
	got, err := headerClaims(t, map[string]any{
		"plan": "gold", "level": literal("1.50e1"), "beta": true, "old": false, "gone": null{},
		"email": "a@b.c", "empty": "",
	}, "plan", "level", "beta", "old", "gone", "never", "email", "empty", "sid", "sub")
	want := map[string]string{
		"plan": "gold", "level": "1.50e1", "beta": "true", "old": "false", "email": "a@b.c",
		"empty": "", "sid": "sess_" + user, "sub": user,
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	got, err = headerClaims(t, nil, "plan")
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("got %v, %v, want an empty map", got, err)
	}
}

func TestHeaderClaimsThatCannotBeHeadersAreRefused(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"array": []string{"a"}, "object": map[string]any{"a": 1}, "LF": "a\r\nX-Admin: 1",
		"non-ASCII": "ä", "long": strings.Repeat("a", 257), "space": " a",
		"long number": literal("1" + strings.Repeat("0", 256)),
	} {
		_, err := headerClaims(t, map[string]any{"plan": value}, "plan")
		if got := clerk.Reason(err); got != clerk.ReasonTokenClaimInvalid {
			t.Errorf("%s: got %q, want token_claim_invalid", name, got)
		}
	}
}

func TestOrganisationClaimsReadAlikeInBothVersions(t *testing.T) {
	t.Parallel()
	names := []string{"org_id", "org_role", "org_slug", "org_permissions"}
	want := map[string]string{
		"org_id": "org_1", "org_role": "org:admin", "org_slug": "acme",
		"org_permissions": "org:dash:read,org:dash:manage,org:teams:read",
	}
	v1 := map[string]any{
		"v": nil, "org_id": "org_1", "org_role": "org:admin", "org_slug": "acme",
		"org_permissions": []string{"org:dash:read", "org:dash:manage", "org:teams:read"},
		"o":               map[string]any{"id": "org_custom"},
	}
	v2 := map[string]any{
		"o": map[string]any{
			"id": "org_1", "rol": "admin", "slg": "acme", "per": "read,manage", "fpm": "3,1",
		},
		"fea":    "o:dash,u:profile,uo:teams",
		"org_id": "org_custom",
	}
	for name, changes := range map[string]map[string]any{"v1": v1, "v2": v2} {
		got, err := headerClaims(t, changes, names...)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
	}
	got, err := headerClaims(t, nil, names...)
	if err != nil || len(got) != 0 {
		t.Errorf("without an organisation: got %v, %v, want nothing", got, err)
	}
	s, err := start(t).Verify(t.Context(), withClaims(v2))
	if err != nil || s.OrgID != "org_1" {
		t.Errorf("got %+v, %v, want org_1", s, err)
	}
}

func TestMalformedPermissionsAreRefused(t *testing.T) {
	t.Parallel()
	org := func(per, fpm string) map[string]any {
		o := map[string]any{"id": "org_1", "per": per, "fpm": fpm}
		return map[string]any{"o": o, "fea": "o:a,o:b"}
	}
	for name, changes := range map[string]map[string]any{
		"not a number":     org("read", "x"),
		"negative":         org("read", "-1"),
		"more features":    org("read", "1,1,1"),
		"bits beyond":      org("read", "2"),
		"number too large": org("read", "18446744073709551616"),
		"v1 a string":      {"v": nil, "org_permissions": "org:a:read"},
		"v1 with a number": {"v": nil, "org_permissions": []any{1}},
		"v1 comma inside":  {"v": nil, "org_permissions": []string{"a,b"}},
		"v1 longer than 256": {
			"v": nil, "org_permissions": []string{strings.Repeat("a", 200), strings.Repeat("b", 200)},
		},
	} {
		_, err := headerClaims(t, changes, "org_permissions")
		if got := clerk.Reason(err); got != clerk.ReasonTokenClaimInvalid {
			t.Errorf("%s: got %q, want token_claim_invalid", name, got)
		}
	}
}
