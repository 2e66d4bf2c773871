package clerk_test

import (
	"net/http"
	"strings"
	"testing"

	"tollbook/proxy/clerk"
)

func TestBearerTokenTakesOneTokenFromOneHeader(t *testing.T) {
	t.Parallel()
	const missing, malformed = clerk.ReasonTokenMissing, clerk.ReasonTokenMalformed
	for name, c := range map[string]struct {
		values []string
		token  string
		reason string
	}{
		"plain":            {[]string{"Bearer a.b.c"}, "a.b.c", ""},
		"lower case":       {[]string{"bearer a.b.c"}, "a.b.c", ""},
		"upper case":       {[]string{"BEARER a.b.c"}, "a.b.c", ""},
		"more spaces":      {[]string{"Bearer    a.b.c"}, "a.b.c", ""},
		"any token68":      {[]string{"Bearer aZ09-._~+/=="}, "aZ09-._~+/==", ""},
		"no header":        {nil, "", missing},
		"empty":            {[]string{""}, "", malformed},
		"scheme only":      {[]string{"Bearer"}, "", malformed},
		"scheme and space": {[]string{"Bearer "}, "", malformed},
		"bare token":       {[]string{"a.b.c"}, "", malformed},
		"Basic":            {[]string{"Basic dXNlcjphLmIuYw=="}, "", malformed},
		"Basic and token":  {[]string{"Basic a.b.c"}, "", malformed},
		"Bearers":          {[]string{"Bearers a.b.c"}, "", malformed},
		"tab":              {[]string{"Bearer\ta.b.c"}, "", malformed},
		"space and tab":    {[]string{"Bearer \ta.b.c"}, "", malformed},
		"leading space":    {[]string{" Bearer a.b.c"}, "", malformed},
		"trailing space":   {[]string{"Bearer a.b.c "}, "", malformed},
		"two tokens":       {[]string{"Bearer a.b.c d.e.f"}, "", malformed},
		"list":             {[]string{"Bearer a.b.c, Bearer d.e.f"}, "", malformed},
		"list of tokens":   {[]string{"Bearer a.b.c,d.e.f"}, "", malformed},
		"quoted":           {[]string{`Bearer "a.b.c"`}, "", malformed},
		"colon":            {[]string{"Bearer: a.b.c"}, "", malformed},
		"scheme twice":     {[]string{"Bearer Bearer a.b.c"}, "", malformed},
		"broken scheme":    {[]string{"Bea\u200brer a.b.c"}, "", malformed},
		"non-ASCII":        {[]string{"Bearer a.b.ç"}, "", malformed},
		"two headers":      {[]string{"Bearer a.b.c", "Bearer a.b.c"}, "", malformed},
		"good, then bad":   {[]string{"Bearer a.b.c", "Basic x"}, "", malformed},
		"bad, then good":   {[]string{"Basic x", "Bearer a.b.c"}, "", malformed},
	} {
		token, err := clerk.BearerToken(http.Header{"Authorization": c.values})
		if token != c.token || clerk.Reason(err) != c.reason {
			t.Errorf("%s: got %q, %v, want %q, %q", name, token, err, c.token, c.reason)
		}
	}
	if _, err := clerk.BearerToken(nil); clerk.Reason(err) != missing {
		t.Errorf("got %v without headers, want %s", err, missing)
	}
}

func TestBearerErrorsHoldNothingOfTheHeader(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"secret", "Basic secret", "Bearer secret secret", "secret.secret.secret",
	} {
		_, err := clerk.BearerToken(http.Header{"Authorization": {value}})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want an error without it", value, err)
		}
	}
}

func FuzzBearerToken(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer x", "bearer  a.b.c", "Basic x", "Bearer a, b", "a.b.c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := clerk.BearerToken(http.Header{"Authorization": {value}})
		if (err == nil) != (token != "") {
			t.Fatalf("%q: got %q and %v, want one of them", value, token, err)
		}
		if err == nil && (!strings.HasSuffix(value, " "+token) ||
			!strings.EqualFold(value[:6], "bearer") || strings.ContainsAny(token, " ,\t\r\n")) {
			t.Fatalf("%q: got %q, which is not its one token", value, token)
		}
		if err != nil && clerk.Reason(err) != clerk.ReasonTokenMalformed {
			t.Fatalf("%q: got %v, want token_malformed", value, err)
		}
	})
}
