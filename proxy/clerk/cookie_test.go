package clerk_test

import (
	"net/http"
	"strings"
	"testing"

	"tollbook/proxy/clerk"
)

func TestCookieTokenTakesOneTokenFromOneCookie(t *testing.T) {
	t.Parallel()
	const missing, malformed = clerk.ReasonTokenMissing, clerk.ReasonTokenMalformed
	for name, c := range map[string]struct {
		lines         []string
		token, reason string
	}{
		"alone":           {[]string{"__session=a.b.c"}, "a.b.c", ""},
		"among others":    {[]string{"a=1; __session=a.b.c;b=2"}, "a.b.c", ""},
		"blanks":          {[]string{" \t__session\t = a.b.c \t;"}, "a.b.c", ""},
		"second line":     {[]string{"a=1", "__session=a.b.c"}, "a.b.c", ""},
		"suffixed beside": {[]string{"__session_x=d.e.f; __session=a.b.c"}, "a.b.c", ""},
		"padded":          {[]string{"__session=a.b.c=="}, "a.b.c==", ""},
		"no cookies":      {nil, "", missing},
		"others only":     {[]string{"a=1; session=a.b.c"}, "", missing},
		"suffixed only":   {[]string{"__session_x=a.b.c"}, "", missing},
		"another case":    {[]string{"__SESSION=a.b.c"}, "", missing},
		"inside a value":  {[]string{"a=__session=a.b.c"}, "", missing},
		"empty":           {[]string{"__session="}, "", missing},
		"name only":       {[]string{"__session"}, "", missing},
		"twice":           {[]string{"__session=a.b.c; __session=a.b.c"}, "", malformed},
		"on two lines":    {[]string{"__session=a.b.c", "__session=a.b.c"}, "", malformed},
		"empty and one":   {[]string{"__session=; __session=a.b.c"}, "", malformed},
		"one and empty":   {[]string{"__session=a.b.c; __session="}, "", malformed},
		"quoted":          {[]string{`__session="a.b.c"`}, "", malformed},
		"comma":           {[]string{"__session=a.b.c, d.e.f"}, "", malformed},
		"blank inside":    {[]string{"__session=a.b.c d"}, "", malformed},
		"scheme":          {[]string{"__session=Bearer a.b.c"}, "", malformed},
		"escape":          {[]string{"__session=a%2eb.c"}, "", malformed},
		"non-ASCII":       {[]string{"__session=a.b.ç"}, "", malformed},
	} {
		token, err := clerk.CookieToken(http.Header{"Cookie": c.lines}, "__session")
		if token != c.token || clerk.Reason(err) != c.reason {
			t.Errorf("%s: got %q, %v, want %q, %q", name, token, err, c.token, c.reason)
		}
		if err != nil && strings.Contains(err.Error(), "a.b") {
			t.Errorf("%s: got error %v with the cookie in it", name, err)
		}
	}
}
