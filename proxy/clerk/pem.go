package clerk

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

const (
	minRSABits     = 2048
	maxRSABits     = 8192 // a larger modulus makes every forgery expensive to refuse
	minRSAExponent = 65537

	// maxPEM bounds the text of a key in bytes; RSA-8192 takes 1.5 KiB.
	maxPEM = 16 << 10

	wantPEM = "want the instance's JWKS public key: -----BEGIN PUBLIC KEY----- …"
)

// ParsePEM reads one RSA public key of 2048 to 8192 bits, in every shape in which
// an environment variable may hold one: PEM (RFC 7468; PUBLIC KEY or RSA PUBLIC
// KEY) with real newlines, with newlines written as \n or \r\n or turned into
// spaces, all on one line; the base64 alone without the BEGIN and END lines; base64
// of the PEM; and any of them in quotes, which docker --env-file keeps. Whatever
// else it is, the error says what, and what would be right; it never holds a part
// of the input.
func ParsePEM(s string) (*rsa.PublicKey, error) {
	key, err := parsePEM(s)
	if err != nil {
		return nil, fmt.Errorf("clerk: PEM public key: %w; %s", err, wantPEM)
	}
	return key, nil
}

func parsePEM(s string) (*rsa.PublicKey, error) {
	if len(s) > maxPEM {
		return nil, errors.New("is longer than 16 KiB")
	}
	s = unwrap(s)
	if s == "" {
		return nil, errors.New("is empty")
	}
	if what := mistaken(s); what != "" {
		return nil, errors.New("is " + what)
	}
	if strings.Contains(s, `\`) {
		return nil, errors.New(`has backslashes other than those of \n and \r\n`)
	}
	label, body, err := splitPEM(s)
	if err != nil {
		return nil, err
	}
	der, err := decodeLoose(body)
	if err != nil {
		return nil, errors.New("is not base64 between its BEGIN and END lines, or cut short")
	}
	if label == "" && strings.HasPrefix(string(der), "-----BEGIN ") {
		return parseArmoured(string(der))
	}
	return parseDER(label, der)
}

// parseArmoured reads the PEM that was inside base64.
func parseArmoured(s string) (*rsa.PublicKey, error) {
	label, body, err := splitPEM(unwrap(s))
	if err != nil {
		return nil, err
	}
	der, err := decodeLoose(body)
	if err != nil {
		return nil, errors.New("is base64 of a PEM that is cut short")
	}
	return parseDER(label, der)
}

// unwrap takes off the quotes and makes newlines of what stands for them.
func unwrap(s string) string {
	s = strings.TrimSpace(s)
	for _, quote := range []string{`"`, `'`} {
		if len(s) >= 2 && strings.HasPrefix(s, quote) && strings.HasSuffix(s, quote) {
			s = s[1 : len(s)-1]
			break
		}
	}
	s = strings.NewReplacer(`\r\n`, "\n", `\n`, "\n", `\r`, "\n").Replace(s)
	return strings.TrimSpace(s)
}

// mistaken names what is often pasted in a public key's place; "" for none.
func mistaken(s string) string {
	for prefix, what := range map[string]string{
		"sk_":      "a Clerk secret key",
		"pk_":      "a publishable key, which belongs in CLERK_PUBLISHABLE_KEY",
		"{":        "JSON; a key set belongs in CLERK_JWKS_FILE",
		"https://": "a URL; a key set's URL belongs in CLERK_JWKS_URL",
		"http://":  "a URL; a key set's URL belongs in CLERK_JWKS_URL",
		"ssh-":     "an SSH key",
		"eyJ":      "a token",
		"/":        "a path; a key in a file belongs in CLERK_PEM_PUBLIC_KEY_FILE",
	} {
		if strings.HasPrefix(s, prefix) {
			return what
		}
	}
	return ""
}

// splitPEM returns the label and the base64 between BEGIN and END; no label when
// s has neither.
func splitPEM(s string) (label, body string, err error) {
	rest, armoured := strings.CutPrefix(s, "-----BEGIN ")
	if !armoured {
		if strings.Contains(s, "-----") {
			return "", "", errors.New("does not begin with its BEGIN line")
		}
		return "", s, nil
	}
	label, rest, begun := strings.Cut(rest, "-----")
	body, rest, ended := strings.Cut(rest, "-----END "+label+"-----")
	if !begun || !ended {
		return "", "", errors.New("has no END line that goes with its BEGIN line")
	}
	if strings.TrimSpace(rest) != "" {
		return "", "", errors.New("holds more than one key, or text after its END line")
	}
	return label, body, nil
}

// decodeLoose decodes base64 with white space anywhere and padding optional.
func decodeLoose(body string) ([]byte, error) {
	packed := strings.TrimRight(strings.Join(strings.Fields(body), ""), "=")
	return base64.RawStdEncoding.DecodeString(packed)
}

// parseDER reads the key a block holds, which label says or, without one, the
// bytes themselves.
func parseDER(label string, der []byte) (*rsa.PublicKey, error) {
	if what := privateOrCertificate(label, der); what != "" {
		return nil, errors.New("is " + what)
	}
	var key any
	var err error
	switch label {
	case "", "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(der)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(der)
	default:
		return nil, errors.New("is a PEM block of another kind")
	}
	if err != nil {
		return nil, errors.New("does not hold a public key, or is cut short")
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("is not an RSA key, which RS256 needs")
	}
	if err := checkRSA(public); err != nil {
		return nil, err
	}
	return public, nil
}

func privateOrCertificate(label string, der []byte) string {
	_, pkcs8 := x509.ParsePKCS8PrivateKey(der)
	_, pkcs1 := x509.ParsePKCS1PrivateKey(der)
	_, certificate := x509.ParseCertificate(der)
	switch {
	case strings.HasSuffix(label, "PRIVATE KEY"), pkcs8 == nil, pkcs1 == nil:
		return "a private key, which must never leave its owner: replace it"
	case label == "CERTIFICATE", certificate == nil:
		return "a certificate"
	}
	return ""
}

// checkRSA refuses keys that are too weak to trust or too large to use.
func checkRSA(key *rsa.PublicKey) error {
	switch bits := key.N.BitLen(); {
	case bits < minRSABits:
		return fmt.Errorf("is an RSA key of %d bits, fewer than %d", bits, minRSABits)
	case bits > maxRSABits:
		return fmt.Errorf("is an RSA key of %d bits, more than %d", bits, maxRSABits)
	case key.E < minRSAExponent || key.E%2 == 0 || key.E > 1<<31-1:
		return errors.New("is an RSA key with an unsafe public exponent")
	}
	return nil
}

// thumbprint returns the JWK thumbprint (RFC 7638 §3) in hexadecimal.
func thumbprint(key *rsa.PublicKey) string {
	encode := base64.RawURLEncoding.EncodeToString
	sum := sha256.Sum256(fmt.Appendf(nil, `{"e":%q,"kty":"RSA","n":%q}`,
		encode(big.NewInt(int64(key.E)).Bytes()), encode(key.N.Bytes())))
	return hex.EncodeToString(sum[:])
}

// encodePEM writes key as ParsePEM reads it.
func encodePEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encoding a public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}
