package audit_test

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"

	"tollbook/audit"
)

// jws is a compact JWS that nobody signed. Its header's length decides how its
// base64 ends.
func jws(header string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(header)) + "." + b64([]byte(`{"sub":"user_1"}`)) + "." + b64([]byte("signature"))
}

var headers = []string{
	`{"alg":"RS256"}`, `{"alg":"RS256","kid":"a"}`, `{"alg":"RS256","kid":"ab"}`,
	`{"alg":"RS256","kid":"abc"}`,
}

func TestTokensAreRedactedWhereverTheyStand(t *testing.T) {
	t.Parallel()
	for _, header := range headers {
		token := jws(header)
		direct := strings.Replace(token, ".", "..", 1) + ".tag"
		for in, want := range map[string]string{
			token:                                 "[token]",
			"Bearer " + token:                     "Bearer [token]",
			"%20" + token:                         "%20[token]",
			"token_" + token:                      "token_[token]",
			"key" + token:                         "key[token]",
			"a." + token:                          "a.[token]",
			"a=" + token + "&b=" + token:          "a=[token]&b=[token]",
			strings.ReplaceAll(token, ".", "%2e"): "[token]",
			strings.ReplaceAll(token, ".", "%2E") + "": "[token]",
			"/files/" + token + "/x":                   "/files/[token]/x",
			"\x00\xff" + token + "\xff":                "\x00\xff[token]\xff",
			token[:strings.LastIndex(token, ".")+1]:    "[token]",
			token + ".more.parts":                      "[token]",
			direct:                                     "[token]",
			token + " " + token:                        "[token] [token]",
		} {
			if got := audit.RedactTokens(in); got != want {
				t.Errorf("got %q, want %q (of %q)", got, want, in)
			}
		}
	}
}

func TestWhatIsNoTokenIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", ".", "..", "ey", "keys.example.com", "eyes.a.b", "eyes.example.com:443", "hey.you.there",
		"/jobs/eyJ", "eyJhbGciOiJSUzI1NiJ9", "eyJhbGciOiJSUzI1NiJ9.e30", "they.are.here.now.all",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "%2e%2e%2e", "1.2.3.4",
	} {
		if got := audit.RedactTokens(s); got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	}
}

func TestNoFieldHoldsAToken(t *testing.T) {
	t.Parallel()
	token := jws(headers[0])
	r := worst(audit.Refused, "x "+token+" y")
	line, err := audit.Line(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(line), "eyJ") {
		t.Errorf("a token is left in %s", line)
	}
	got, err := audit.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	for v, i := reflect.ValueOf(*got), 0; i < v.NumField(); i++ {
		name := v.Type().Field(i).Name
		switch name {
		case "EventType", "LogID", "BootID", "Phase", "Outcome", "Attributable":
			continue
		}
		if v.Field(i).Kind() == reflect.String && v.Field(i).String() != "x [token] y" {
			t.Errorf("%s: got %q, want x [token] y", name, v.Field(i))
		}
	}
}

func TestRedactingLeavesTheCallersMetadataAlone(t *testing.T) {
	t.Parallel()
	token := jws(headers[0])
	inner := audit.Object{{Name: "t", Value: audit.String(token)}}
	r := request("r1")
	r.Phase = audit.Received
	r.Metadata = audit.Object{
		{Name: "list", Value: audit.List(audit.String(token))},
		{Name: "object", Value: audit.Nested(inner)},
		{Name: "text", Value: audit.String(token)},
	}
	shared := r.Metadata
	if _, err := audit.Line(r); err != nil {
		t.Fatal(err)
	}
	if got, _ := inner[0].Value.Str(); got != token {
		t.Errorf("the nested object was changed: %q", got)
	}
	list, _ := shared.Get("list")
	text, _ := shared.Get("text")
	first, _ := list.Values()[0].Str()
	if second, _ := text.Str(); first != token || second != token {
		t.Errorf("the object was changed: %q, %q", first, second)
	}
}

// Were it quadratic, this test would take minutes.
func TestRedactingIsLinear(t *testing.T) {
	t.Parallel()
	for _, unit := range []string{"ey", "ey.", ".", "eyJ9.", "a.", "%2e", "eyJ%2e%2e", "e", "y.e"} {
		text := strings.Repeat(unit, 256<<10/len(unit))
		if got := audit.RedactTokens(text); len(got) > len(text)*2 {
			t.Errorf("%q: grew to %d bytes", unit, len(got))
		}
	}
}
