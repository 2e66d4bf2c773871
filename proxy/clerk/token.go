package clerk

import (
	"encoding/base64"
	"net/http"
	"strings"
)

const (
	// maxToken bounds the length of a token in bytes.
	maxToken = 16 << 10
	// token68 is what a token after Bearer is made of (RFC 9110 §11.2).
	token68 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="
)

// BearerToken returns the token in the Authorization header (RFC 9110 §11.6.2,
// RFC 6750 §2.1): exactly one header, the scheme Bearer in any case, one or more
// spaces, and one token. The token is not looked into. Errors are TokenErrors:
// ReasonTokenMissing without a header, else ReasonTokenMalformed.
func BearerToken(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) == 0 {
		return "", refuse(ReasonTokenMissing, "")
	}
	if len(values) > 1 {
		return "", malformed("more than one Authorization header")
	}
	scheme, rest, spaced := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		if !spaced && strings.Count(scheme, ".") == 2 {
			return "", malformed("Bearer is missing before the token")
		}
		return "", malformed("the Authorization scheme is not Bearer")
	}
	token := strings.TrimLeft(rest, " ")
	if token == "" {
		return "", malformed("no token after Bearer")
	}
	if !isToken68(token) {
		return "", malformed("more than one token after Bearer, or a character no token has")
	}
	return token, nil
}

// CookieToken returns the token in the cookie of this name (RFC 6265 §5.4), which
// must be there once. The token is not looked into. Errors are TokenErrors:
// ReasonTokenMissing without such a cookie, or with an empty one, as a browser has
// it after a sign-out; else ReasonTokenMalformed.
func CookieToken(h http.Header, name string) (token string, err error) {
	found := 0
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			key, value, _ := strings.Cut(pair, "=")
			if strings.Trim(key, " \t") == name {
				token = strings.Trim(value, " \t")
				found++
			}
		}
	}
	switch {
	case found > 1:
		return "", malformed("more than one session cookie")
	case token == "":
		return "", refuse(ReasonTokenMissing, "")
	case !isToken68(token):
		return "", malformed("the session cookie has a character no token has")
	}
	return token, nil
}

// isToken68 reports whether text has the characters of a token only.
func isToken68(text string) bool { return strings.Trim(text, token68) == "" }

// malformed refuses what is not a compact JWS in a Bearer header.
func malformed(what string) error {
	return refuse(ReasonTokenMalformed, what)
}

// token is a compact JWS (RFC 7515 §7.1) taken apart, and not yet believed.
type token struct {
	signed    []byte // header "." payload, as sent
	signature []byte
	header    header
	claims    []member
}

// commonClaims is how many claims a token has room for without growing.
const commonClaims = 24

// parseToken checks the syntax of raw and reads its header. It does all that can
// be done without a key, in the order syntax, then header.
func parseToken(raw string) (*token, error) {
	if err := checkSyntax(raw); err != nil {
		return nil, err
	}
	text := []byte(raw)
	first := strings.IndexByte(raw, '.')
	second := first + 1 + strings.IndexByte(raw[first+1:], '.')
	room := make([]byte, 0, len(raw))
	headerJSON, ok1 := decodePart(&room, text[:first])
	payload, ok2 := decodePart(&room, text[first+1:second])
	signature, ok3 := decodePart(&room, text[second+1:])
	if !ok1 || !ok2 || !ok3 {
		return nil, malformed("a part of the token is not canonical base64url")
	}
	var few [8]member
	parameters, err := scanObject(string(headerJSON), few[:0])
	if err != nil {
		return nil, malformed("the token header " + err.Error())
	}
	claims, err := scanObject(string(payload), make([]member, 0, commonClaims))
	if err != nil {
		return nil, malformed("the token payload " + err.Error())
	}
	h, err := readHeader(parameters)
	if err != nil {
		return nil, err
	}
	return &token{signed: text[:second], signature: signature, header: h, claims: claims}, nil
}

// checkSyntax reports whether raw is three non-empty parts of base64url letters.
func checkSyntax(raw string) error {
	if raw == "" {
		return refuse(ReasonTokenMissing, "")
	}
	if len(raw) > maxToken {
		return refuse(ReasonTokenTooLarge, "the token is longer than 16 KiB")
	}
	if what := opaque(raw); what != "" {
		return malformed(what + " is not a session token")
	}
	dots, last := 0, -1
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '.' && i == last+1:
			return malformed("a part of the token is empty")
		case c == '.':
			dots, last = dots+1, i
		case !isBase64URL(c):
			return malformed("the token has a character other than base64url and dots")
		}
	}
	if dots != 2 {
		return malformed("the token does not have three parts")
	}
	if last == len(raw)-1 {
		return malformed("a part of the token is empty")
	}
	return nil
}

func isBase64URL(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '_'
}

// decodePart decodes one part into the unused end of room. Bits that would be
// lost must be zero, so a token has one spelling only.
func decodePart(room *[]byte, part []byte) ([]byte, bool) {
	start := len(*room)
	decoded, err := base64.RawURLEncoding.Strict().AppendDecode(*room, part)
	if err != nil {
		return nil, false
	}
	*room = decoded
	return decoded[start:len(decoded):len(decoded)], true
}

// opaque names the credential that is often sent in a session token's place; ""
// for none.
func opaque(raw string) string {
	prefix, _, _ := strings.Cut(raw, "_")
	switch prefix {
	case "ak":
		return "an API key (ak_…)"
	case "mt", "m2m":
		return "a machine-to-machine token (" + prefix + "_…)"
	case "oat":
		return "an OAuth access token (oat_…)"
	case "sk":
		return "a Clerk secret key (sk_…)"
	case "pk":
		return "a Clerk publishable key (pk_…)"
	case "sess":
		return "a session id (sess_…)"
	case "user":
		return "a user id (user_…)"
	}
	return ""
}
