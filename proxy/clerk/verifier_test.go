package clerk_test

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

func TestGoodSessionTokenIsAccepted(t *testing.T) {
	t.Parallel()
	s, err := start(t).Verify(t.Context(), key().Sign(claims(map[string]any{"jti": "jti_1"})))
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	if s.UserID != user || s.SessionID != "sess_"+user || s.KeyID != kid || s.JWTID != "jti_1" ||
		s.AuthorizedParty != clerktest.Origin || s.Email != "" || s.Actor != nil || s.Claims != nil {
		t.Errorf("got %+v, want the claims of the token and nothing else", s)
	}
	if s.IssuedAt.Seconds != noon.Unix() || s.ExpiresAt.Seconds != noon.Unix()+60 ||
		s.NotBefore.Seconds != noon.Unix()-10 || s.IssuedAt.Literal != "" {
		t.Errorf("got times %+v %+v %+v, want iat, iat+60, iat-10", s.IssuedAt, s.ExpiresAt, s.NotBefore)
	}
	if len(s.FVA) != 2 || s.FVA[0] != 0 || s.FVA[1] != -1 {
		t.Errorf("got fva %v, want [0 -1]", s.FVA)
	}
}

// payload is the good claims as text.
func payload(changes map[string]any) string {
	_, rest, _ := strings.Cut(key().Sign(claims(changes)), ".")
	part, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		panic(err)
	}
	return string(data)
}

const goodHeader = `{"alg":"RS256","cat":"cl_B7d4PD111AAA","kid":"ins_test","typ":"JWT"}`

// withHeader is the good token but for its header.
func withHeader(header string) string { return key().SignRaw(header, payload(nil)) }

// withClaims is the good token but for its claims.
func withClaims(changes map[string]any) string { return key().Sign(claims(changes)) }

// parts is the good token in three.
func parts() (header, claims, signature string) {
	p := strings.Split(withClaims(nil), ".")
	return p[0], p[1], p[2]
}

func TestTokenWithOneDefectIsRefused(t *testing.T) {
	t.Parallel()
	v := start(t)
	h, p, s := parts()
	other := clerktest.SharedKey("ins_other").WithID(kid)
	for name, c := range map[string]struct{ token, want string }{
		"empty":              {"", clerk.ReasonTokenMissing},
		"60 KB of dots":      {strings.Repeat(".", 60<<10), clerk.ReasonTokenTooLarge},
		"16 KiB and one":     {strings.Repeat("a", 16<<10+1), clerk.ReasonTokenTooLarge},
		"16 KiB of dots":     {strings.Repeat(".", 16<<10), clerk.ReasonTokenMalformed},
		"one part":           {h, clerk.ReasonTokenMalformed},
		"two parts":          {h + "." + p, clerk.ReasonTokenMalformed},
		"four parts":         {h + "." + p + "." + s + "." + s, clerk.ReasonTokenMalformed},
		"five parts, a JWE":  {h + "." + p + "." + s + "." + s + "." + s, clerk.ReasonTokenMalformed},
		"no header":          {"." + p + "." + s, clerk.ReasonTokenMalformed},
		"no payload":         {h + ".." + s, clerk.ReasonTokenMalformed},
		"no signature":       {h + "." + p + ".", clerk.ReasonTokenMalformed},
		"leading space":      {" " + h + "." + p + "." + s, clerk.ReasonTokenMalformed},
		"trailing newline":   {h + "." + p + "." + s + "\n", clerk.ReasonTokenMalformed},
		"newline inside":     {h + "." + p[:4] + "\n" + p[4:] + "." + s, clerk.ReasonTokenMalformed},
		"space inside":       {h + "." + p[:4] + " " + p[4:] + "." + s, clerk.ReasonTokenMalformed},
		"padded":             {h + "." + p + "." + s + "==", clerk.ReasonTokenMalformed},
		"standard base64":    {h + "." + p + "." + "+/" + s[2:], clerk.ReasonTokenMalformed},
		"non-canonical bits": {h + "." + p + "." + lastBitSet(s), clerk.ReasonTokenMalformed},
		"JWS JSON": {
			`{"payload":"` + p + `","signature":"` + s + `"}`, clerk.ReasonTokenMalformed,
		},
		"API key":          {"ak_live_123", clerk.ReasonTokenMalformed},
		"header not JSON":  {key().SignRaw(`x`, payload(nil)), clerk.ReasonTokenMalformed},
		"header an array":  {key().SignRaw(`[]`, payload(nil)), clerk.ReasonTokenMalformed},
		"payload a string": {key().SignRaw(goodHeader, `"x"`), clerk.ReasonTokenMalformed},

		"duplicate in header": {
			withHeader(`{"alg":"RS256","alg":"RS256"}`), clerk.ReasonTokenMalformed,
		},
		"duplicate in payload": {rewritten(`{`, `{"sub":"user_evil",`), clerk.ReasonTokenMalformed},
		"duplicate by escape":  {rewritten(`{`, `{"su\u0062":"user_evil",`), clerk.ReasonTokenMalformed},
		"duplicate deep inside": {
			rewritten(`{`, `{"x":[{"a":1,"b":{"c":1,"c":2}}],`), clerk.ReasonTokenMalformed,
		},
		"invalid UTF-8":   {rewritten(`{`, "{\"x\":\"\xff\","), clerk.ReasonTokenMalformed},
		"raw surrogate":   {rewritten(`{`, "{\"x\":\"\xed\xa0\x80\","), clerk.ReasonTokenMalformed},
		"byte order mark": {rewritten(`{`, "\ufeff{"), clerk.ReasonTokenMalformed},
		"trailing bytes": {
			key().SignRaw(goodHeader, payload(nil)+"{}"), clerk.ReasonTokenMalformed,
		},
		"trailing comma": {rewritten(`}`, `,}`), clerk.ReasonTokenMalformed},
		"nested 33 deep": {rewritten(`{`, `{"x":`+nested(32)+`,`), clerk.ReasonTokenMalformed},

		"alg none":    {withHeader(`{"alg":"none"}`), clerk.ReasonTokenAlgUnsupported},
		"alg None":    {withHeader(`{"alg":"None"}`), clerk.ReasonTokenAlgUnsupported},
		"alg nOnE":    {withHeader(`{"alg":"nOnE"}`), clerk.ReasonTokenAlgUnsupported},
		"alg empty":   {withHeader(`{"alg":""}`), clerk.ReasonTokenAlgUnsupported},
		"alg rs256":   {withHeader(`{"alg":"rs256"}`), clerk.ReasonTokenAlgUnsupported},
		"alg ES256":   {withHeader(`{"alg":"ES256"}`), clerk.ReasonTokenAlgUnsupported},
		"alg missing": {withHeader(`{"typ":"JWT"}`), clerk.ReasonTokenHeaderInvalid},
		"alg a list":  {withHeader(`{"alg":["RS256"]}`), clerk.ReasonTokenHeaderInvalid},
		"Alg":         {withHeader(`{"Alg":"RS256"}`), clerk.ReasonTokenHeaderInvalid},
		"crit": {
			withHeader(`{"alg":"RS256","crit":["exp"],"exp":1}`), clerk.ReasonTokenHeaderInvalid,
		},
		"crit empty":  {withHeader(`{"alg":"RS256","crit":[]}`), clerk.ReasonTokenHeaderInvalid},
		"crit null":   {withHeader(`{"alg":"RS256","crit":null}`), clerk.ReasonTokenHeaderInvalid},
		"b64 false":   {withHeader(`{"alg":"RS256","b64":false}`), clerk.ReasonTokenHeaderInvalid},
		"kid number":  {withHeader(`{"alg":"RS256","kid":1}`), clerk.ReasonTokenHeaderInvalid},
		"kid with CR": {withHeader(`{"alg":"RS256","kid":"a\r"}`), clerk.ReasonTokenHeaderInvalid},
		"typ null":    {withHeader(`{"alg":"RS256","typ":null}`), clerk.ReasonTokenHeaderInvalid},
		"cat number":  {withHeader(`{"alg":"RS256","cat":1}`), clerk.ReasonTokenHeaderInvalid},

		"another key": {other.Sign(claims(nil)), clerk.ReasonTokenSignatureInvalid},
		"claims exchanged": {
			h + "." + encoded(payload(map[string]any{"sub": "user_b"})) + "." + s,
			clerk.ReasonTokenSignatureInvalid,
		},
		"header exchanged": {
			encoded(`{"alg":"RS256"}`) + "." + p + "." + s, clerk.ReasonTokenSignatureInvalid,
		},
		"signature cut": {
			h + "." + p + "." + encoded(decoded(s)[:255]), clerk.ReasonTokenSignatureInvalid,
		},
		"signature extended": {
			h + "." + p + "." + encoded("\x00"+decoded(s)), clerk.ReasonTokenSignatureInvalid,
		},
		"signature of zeros": {
			h + "." + p + "." + encoded(strings.Repeat("\x00", 256)), clerk.ReasonTokenSignatureInvalid,
		},

		"issuer of another tenant": {
			withClaims(map[string]any{"iss": "https://other.accounts.dev"}), clerk.ReasonTokenIssuerInvalid,
		},
		"issuer clerk.evil.com": {
			withClaims(map[string]any{"iss": "https://clerk.evil.com"}), clerk.ReasonTokenIssuerInvalid,
		},
		"issuer with slash": {
			withClaims(map[string]any{"iss": issuer + "/"}), clerk.ReasonTokenIssuerInvalid,
		},
		"issuer in upper case": {
			withClaims(map[string]any{"iss": strings.ToUpper(issuer)}), clerk.ReasonTokenIssuerInvalid,
		},
		"issuer missing": {
			withClaims(map[string]any{"iss": nil}), clerk.ReasonTokenIssuerInvalid,
		},
		"issuer a list": {
			withClaims(map[string]any{"iss": []string{issuer}}), clerk.ReasonTokenIssuerInvalid,
		},
		"Iss instead": {
			withClaims(map[string]any{"iss": nil, "Iss": issuer}), clerk.ReasonTokenIssuerInvalid,
		},

		"machine by sub": {
			withClaims(map[string]any{"sub": "mch_1"}), clerk.ReasonTokenKindRefused,
		},
		"machine by cat": {
			key().Sign(claims(nil), cat("cl_B7d4PD333AAA")), clerk.ReasonTokenKindRefused,
		},
		"cat unheard of": {
			key().Sign(claims(nil), cat("cl_B7d4PD444AAA")), clerk.ReasonTokenKindRefused,
		},
		"template": {
			key().Sign(claims(map[string]any{"sid": nil}), cat("cl_B7d4PD222AAA")),
			clerk.ReasonTokenKindRefused,
		},
		"template with sid": {
			key().Sign(claims(nil), cat("cl_B7d4PD222AAA")), clerk.ReasonTokenKindRefused,
		},
		"OAuth at+jwt": {key().Sign(claims(nil), typ("at+jwt")), clerk.ReasonTokenKindRefused},
		"OAuth application/at": {
			key().Sign(claims(nil), typ("application/at+jwt")), clerk.ReasonTokenKindRefused,
		},
		"typ jwt": {key().Sign(claims(nil), typ("jwt")), clerk.ReasonTokenKindRefused},
		"id_token": {
			key().Sign(claims(map[string]any{"sid": nil, "aud": "client"}), clerktest.WithoutHeader("cat")),
			clerk.ReasonTokenSessionMissing,
		},
		"handshake": {withClaims(map[string]any{"sub": nil}), clerk.ReasonTokenSubjectMissing},
		"sub null":  {withClaims(map[string]any{"sub": null{}}), clerk.ReasonTokenSubjectMissing},
		"sub empty": {withClaims(map[string]any{"sub": ""}), clerk.ReasonTokenSubjectMissing},
		"Sub instead": {
			withClaims(map[string]any{"sub": nil, "Sub": user}), clerk.ReasonTokenSubjectMissing,
		},
		"ſub instead": {
			withClaims(map[string]any{"sub": nil, "ſub": user}), clerk.ReasonTokenSubjectMissing,
		},
		"sid missing":  {withClaims(map[string]any{"sid": nil}), clerk.ReasonTokenSessionMissing},
		"sid null":     {withClaims(map[string]any{"sid": null{}}), clerk.ReasonTokenSessionMissing},
		"sid empty":    {withClaims(map[string]any{"sid": ""}), clerk.ReasonTokenSessionMissing},
		"sid a number": {withClaims(map[string]any{"sid": 1}), clerk.ReasonTokenClaimInvalid},
		"pending":      {withClaims(map[string]any{"sts": "pending"}), clerk.ReasonTokenPending},
		"sts unknown":  {withClaims(map[string]any{"sts": "Active"}), clerk.ReasonTokenClaimInvalid},
		"sts a bool":   {withClaims(map[string]any{"sts": true}), clerk.ReasonTokenClaimInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := v.Verify(t.Context(), c.token)
			wantReason(t, err, c.want)
			if s != nil {
				t.Errorf("got session %+v with an error, want none", s)
			}
		})
	}
}

func cat(c string) clerktest.Header { return clerktest.WithHeader("cat", c) }

func typ(c string) clerktest.Header { return clerktest.WithHeader("typ", c) }

// rewritten is the good token, its payload's first old replaced.
func rewritten(old, replacement string) string {
	text := payload(map[string]any{"fva": nil})
	return key().SignRaw(goodHeader, strings.Replace(text, old, replacement, 1))
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func decoded(s string) string {
	data, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// lastBitSet returns base64url with a bit set that decoding drops: 256 bytes leave
// four of the last letter's bits unused.
func lastBitSet(s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(letters, s[len(s)-1])
	return s[:len(s)-1] + string(letters[last|1])
}

func TestOtherAlgorithmsAreRefusedHoweverTheyAreSigned(t *testing.T) {
	t.Parallel()
	v := start(t)
	der, err := x509.MarshalPKIXPublicKey(key().Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"PEM": []byte(key().PEM()), "trimmed PEM": bytes.TrimSpace([]byte(key().PEM())),
		"DER": der, "PKCS #1": x509.MarshalPKCS1PublicKey(key().Public()),
		"modulus": key().Public().N.Bytes(), "nothing": nil,
	} {
		for _, alg := range []string{"HS256", "RS256"} {
			signed := encoded(`{"alg":"`+alg+`","typ":"JWT","kid":"ins_test"}`) + "." + encoded(payload(nil))
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(signed))
			want := clerk.ReasonTokenAlgUnsupported
			if alg == "RS256" {
				want = clerk.ReasonTokenSignatureInvalid
			}
			_, err := v.Verify(t.Context(), signed+"."+encoded(string(mac.Sum(nil))))
			if clerk.Reason(err) != want {
				t.Errorf("%s with HMAC under %s: got %v, want %s", alg, name, err, want)
			}
		}
	}
	for _, c := range []struct {
		alg  string
		hash crypto.Hash
		pss  bool
	}{
		{"RS384", crypto.SHA384, false},
		{"RS512", crypto.SHA512, false},
		{"PS256", crypto.SHA256, true},
		{"PS512", crypto.SHA512, true},
	} {
		_, err := v.Verify(t.Context(), signedWith(t, c.alg, c.hash, c.pss))
		wantReason(t, err, clerk.ReasonTokenAlgUnsupported)
		_, err = v.Verify(t.Context(), signedWith(t, "RS256", c.hash, c.pss))
		wantReason(t, err, clerk.ReasonTokenSignatureInvalid)
	}
}

// signedWith returns the good token, signed by the right key in another way.
func signedWith(t *testing.T, alg string, hash crypto.Hash, pss bool) string {
	t.Helper()
	signed := encoded(`{"alg":"`+alg+`","typ":"JWT","kid":"ins_test"}`) + "." + encoded(payload(nil))
	h := hash.New()
	h.Write([]byte(signed))
	var opts crypto.SignerOpts = hash
	if pss {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	signature, err := key().Private().Sign(rand.Reader, h.Sum(nil), opts)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encoded(string(signature))
}

func TestHarmlessVariationsAreAccepted(t *testing.T) {
	t.Parallel()
	v := start(t)
	for name, token := range map[string]string{
		"no typ, cat, kid":       key().SignRaw(`{"alg":"RS256"}`, payload(nil)),
		"cat without info":       key().Sign(claims(nil), cat("cl_I7d4PD111III")),
		"kid of the JWKS":        key().Sign(claims(nil), clerktest.WithHeader("kid", "ins_else")),
		"unknown parameters":     key().Sign(claims(nil), clerktest.WithHeader("oiat", 1)),
		"b64 true":               key().Sign(claims(nil), clerktest.WithHeader("b64", true)),
		"white space in JSON":    key().SignRaw(" "+goodHeader+"\n", "\t"+payload(nil)+"\r\n"),
		"escaped name":           rewritten(`"sub"`, `"\u0073ub"`),
		"lone surrogate unused":  rewritten(`{`, `{"x":"\ud800","\udc00":1,`),
		"nested 32 deep":         rewritten(`{`, `{"x":`+nested(31)+`,`),
		"Sub beside sub":         withClaims(map[string]any{"Sub": "user_evil", "ſub": "user_evil"}),
		"aud":                    withClaims(map[string]any{"aud": "x"}),
		"aud list":               withClaims(map[string]any{"aud": []string{"x", "y"}}),
		"email null":             withClaims(map[string]any{"email": null{}}),
		"no nbf":                 withClaims(map[string]any{"nbf": nil}),
		"no azp, jti, sts":       withClaims(map[string]any{"azp": nil, "jti": nil, "sts": nil}),
		"claims of other kinds":  withClaims(map[string]any{"a": []int{1}, "b": map[string]any{}}),
		"v1 without an org at v": withClaims(map[string]any{"v": nil}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := v.Verify(t.Context(), token)
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if s.UserID != user {
				t.Errorf("got user %q, want %q", s.UserID, user)
			}
		})
	}
}

func TestKeysInTheHeaderAreIgnored(t *testing.T) {
	t.Parallel()
	evil := clerktest.SharedKey("ins_other")
	server := clerktest.NewServer(evil)
	t.Cleanup(server.Close)
	v := start(t)
	for name, value := range map[string]any{
		"jwk": evil.JWK(), "jku": server.JWKSURL(), "x5u": server.JWKSURL(), "x5c": []string{"AAAA"},
	} {
		_, err := v.Verify(t.Context(), evil.Sign(claims(nil), clerktest.WithHeader(name, value)))
		wantReason(t, err, clerk.ReasonTokenSignatureInvalid)
		_, err = v.Verify(t.Context(), key().Sign(claims(nil), clerktest.WithHeader(name, value)))
		wantReason(t, err, "")
	}
	if got := server.Fetches(); got != 0 {
		t.Errorf("got %d requests to a URL from a token, want 0", got)
	}
}

func TestOpaqueCredentialsAreNamed(t *testing.T) {
	t.Parallel()
	v := start(t)
	for token, want := range map[string]string{
		"ak_123": "API key", "mt_123": "machine-to-machine", "m2m_123": "machine-to-machine",
		"oat_123": "OAuth", "sk_test_123": "secret key", "pk_test_123": "publishable key",
		"sess_123": "session id", "user_123": "user id",
	} {
		_, err := v.Verify(t.Context(), token)
		wantReason(t, err, clerk.ReasonTokenMalformed)
		if got := refusal(t, err).Detail; !strings.Contains(got, want) || strings.Contains(got, "123") {
			t.Errorf("%s: got detail %q, want %q in it and nothing of the token", token, got, want)
		}
	}
}
