package clerk_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"tollbook/proxy/clerk"
)

func block(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func pkix(t *testing.T, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestPEMIsReadInEveryShape(t *testing.T) {
	t.Parallel()
	good := key().PEM()
	der := pkix(t, key().Public())
	std := base64.StdEncoding.EncodeToString
	lines := strings.TrimSpace(good)
	body := strings.TrimPrefix(lines, "-----BEGIN PUBLIC KEY-----\n")
	body = strings.TrimSuffix(body, "\n-----END PUBLIC KEY-----")
	for name, s := range map[string]string{
		"real newlines":          good,
		"CRLF":                   strings.ReplaceAll(good, "\n", "\r\n"),
		"no final newline":       lines,
		"space around":           "\n  " + good + "  \n",
		"literal \\n":            strings.ReplaceAll(good, "\n", `\n`),
		"literal \\r\\n":         strings.ReplaceAll(good, "\n", `\r\n`),
		"double quotes":          `"` + strings.ReplaceAll(good, "\n", `\n`) + `"`,
		"single quotes":          `'` + good + `'`,
		"spaces for newlines":    strings.ReplaceAll(lines, "\n", " "),
		"no newlines":            strings.ReplaceAll(lines, "\n", ""),
		"indented":               strings.ReplaceAll(lines, "\n", "\n    "),
		"without header":         std(der),
		"without header, raw":    base64.RawStdEncoding.EncodeToString(der),
		"without header, in \\n": strings.ReplaceAll(body, "\n", `\n`),
		"base64 of it":           std([]byte(good)),
		"base64 in lines":        std([]byte(good))[:64] + "\n" + std([]byte(good))[64:],
		"base64 of literal":      std([]byte(strings.ReplaceAll(good, "\n", `\n`))),
		"base64 in quotes":       `"` + std([]byte(good)) + `"`,
		"PKCS #1":                block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(key().Public())),
	} {
		got, err := clerk.ParsePEM(s)
		if err != nil || !got.Equal(key().Public()) {
			t.Errorf("%s: got %v, %v, want the key", name, got, err)
		}
	}
}

func TestWhatIsNoPublicKeyIsNamed(t *testing.T) {
	t.Parallel()
	good := key().PEM()
	pkcs1 := x509.MarshalPKCS1PrivateKey(key().Private())
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key().Private())
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(
		rand.Reader, template, template, key().Public(), key().Private())
	if err != nil {
		t.Fatal(err)
	}
	std := base64.StdEncoding.EncodeToString
	for name, c := range map[string]struct{ in, want string }{
		"empty":                  {"", "is empty"},
		"quotes":                 {`""`, "is empty"},
		"space":                  {" \n", "is empty"},
		"PKCS #1 private":        {block("RSA PRIVATE KEY", pkcs1), "private key"},
		"PKCS #8 private":        {block("PRIVATE KEY", pkcs8), "private key"},
		"encrypted private":      {block("ENCRYPTED PRIVATE KEY", pkcs8), "private key"},
		"private without header": {std(pkcs8), "private key"},
		"private, mislabelled":   {block("PUBLIC KEY", pkcs1), "private key"},
		"base64 of private":      {std([]byte(block("PRIVATE KEY", pkcs8))), "private key"},
		"certificate":            {block("CERTIFICATE", certificate), "certificate"},
		"certificate, no header": {std(certificate), "certificate"},
		"EC key":                 {block("PUBLIC KEY", pkix(t, &ec.PublicKey)), "not an RSA key"},
		"RSA-1024":               {block("PUBLIC KEY", pkix(t, smallKey(t))), "1024 bits"},
		"exponent 3": {
			block("PUBLIC KEY", pkix(t, &rsa.PublicKey{N: key().Public().N, E: 3})), "exponent",
		},
		"even exponent": {
			block("PUBLIC KEY", pkix(t, &rsa.PublicKey{N: key().Public().N, E: 65538})), "exponent",
		},
		"RSA-8200": {block("PUBLIC KEY", pkix(t, &rsa.PublicKey{
			N: new(big.Int).Lsh(big.NewInt(1), 8199), E: 65537,
		})), "8200 bits"},
		"cut short":     {good[:200], "END line"},
		"cut inside":    {strings.Replace(good, good[100:140], "", 1), "cut short"},
		"two keys":      {good + good, "more than one key"},
		"text before":   {"key: " + good, "BEGIN line"},
		"other block":   {block("DH PARAMETERS", []byte{1}), "another kind"},
		"not base64":    {"hunter2!", "not base64"},
		"too long":      {strings.Repeat("A", 16<<10+1), "16 KiB"},
		"secret key":    {"sk_test_hunter2", "secret key"},
		"publishable":   {"pk_test_hunter2", "CLERK_PUBLISHABLE_KEY"},
		"JWKS":          {`{"keys":["hunter2"]}`, "CLERK_JWKS_FILE"},
		"URL":           {"https://hunter2.example/", "CLERK_JWKS_URL"},
		"SSH key":       {"ssh-rsa hunter2", "SSH key"},
		"path":          {"/run/secrets/hunter2", "CLERK_PEM_PUBLIC_KEY_FILE"},
		"token":         {"eyJhbGciOiJSUzI1NiJ9.hunter2.x", "token"},
		"double escape": {strings.ReplaceAll(good, "\n", `\\n`), "backslashes"},
	} {
		_, err := clerk.ParsePEM(c.in)
		switch {
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: got %v, want %q in the error", name, err, c.want)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: got %v, want nothing of the input", name, err)
		case !strings.Contains(err.Error(), "-----BEGIN PUBLIC KEY-----"):
			t.Errorf("%s: got %v, want it said what is right", name, err)
		}
	}
}

func FuzzParsePEM(f *testing.F) {
	f.Add("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")
	f.Add(`"-----BEGIN RSA PUBLIC KEY-----\nMIIB\n-----END RSA PUBLIC KEY-----"`)
	f.Add("LS0tLS1CRUdJTiA=")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := clerk.ParsePEM(s); err == nil && (k.N.BitLen() < 2048 || k.E < 65537) {
			t.Errorf("got a weak key from %q", s)
		}
	})
}
