package proxy_test

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"tollbook/proxy"
	"tollbook/proxy/clerk"
)

// cookieName is what a cookie's name is made of (RFC 6265 §4.1.1).
const cookieName = "!#$%&'*+-.^_`|~0123456789" +
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// pairsOf returns the pairs of Cookie headers, those of the session's name apart.
// Pairs without a byte count for nothing.
func pairsOf(lines []string, name string) (session, others []string) {
	for pair := range strings.SplitSeq(strings.Join(lines, ";"), ";") {
		pair = strings.Trim(pair, " \t")
		key, _, _ := strings.Cut(pair, "=")
		key = strings.Trim(key, " \t")
		switch {
		case key == name, strings.HasPrefix(key, name+"_"):
			session = append(session, pair)
		case pair != "":
			others = append(others, pair)
		}
	}
	return session, others
}

func FuzzCookie(f *testing.F) {
	for _, line := range []string{
		"", "__session=a.b.c", "a=b; __session=a.b.c; c=d", "__session=a; __session=b", "__session",
		"a=b;__session_x1=t;c=d\n__session=a.b.c", "a=b;;  ;c=d;", " ; a=__session=x; ", "__Session=x",
		"\t__session\t=\ta.b.c\t;x", "a=\"; __session=t\"; b", "=__session", "__sessionx=1; _session=2",
		"__session=a; \u00a0", "__session=a b", "__session=", "a=b; __session=a.b.c\nc=d", "__session==",
	} {
		f.Add(line, "__session")
	}
	f.Add("a=b; a_=c; ab=d", "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		if name == "" || strings.Trim(name, cookieName) != "" || !isHeaderText(text) {
			return
		}
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			lines[i] = textproto.TrimString(line) // as net/http hands it over
		}
		session, others := pairsOf(lines, name)
		wantToken(t, lines, name)
		header := http.Header{"Cookie": slices.Clone(lines), "A": {"b"}}
		proxy.StripCookie(header, name)
		left := header["Cookie"]
		gone, kept := pairsOf(left, name)
		if len(gone) > 0 || !slices.Equal(kept, others) || header.Get("A") != "b" {
			t.Errorf("got %q left of %q, want all but %q", left, lines, session)
		}
		if len(session) == 0 && text != "" && !slices.Equal(left, lines) {
			t.Errorf("got %q, want %q: nothing is to be removed", left, lines)
		}
	})
}

// isHeaderText reports whether lines can be header values (RFC 9110 §5.5).
func isHeaderText(lines string) bool {
	return strings.IndexFunc(lines, func(c rune) bool {
		return c < ' ' && c != '\t' && c != '\n' || c == 0x7f
	}) < 0
}

// wantToken checks that the token is found if, and only if, one pair has the name
// and a value of a token's characters.
func wantToken(t *testing.T, lines []string, name string) {
	t.Helper()
	var values []string
	session, _ := pairsOf(lines, name)
	for _, pair := range session {
		if key, value, _ := strings.Cut(pair, "="); strings.Trim(key, " \t") == name {
			values = append(values, strings.Trim(value, " \t"))
		}
	}
	want := ""
	if len(values) == 1 && strings.Trim(values[0], "ABCDEFGHIJKLMNOPQRSTUVWXYZ"+
		"abcdefghijklmnopqrstuvwxyz0123456789-._~+/=") == "" {
		want = values[0]
	}
	got, err := clerk.CookieToken(http.Header{"Cookie": lines}, name)
	if got != want || (err == nil) != (want != "") {
		t.Errorf("got token %q and %v of %q, want %q", got, err, lines, want)
	}
}
