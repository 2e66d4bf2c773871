package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"tollbook/proxy/clerk"
)

// digest is the lower-case hex SHA-256 of the settings in effect, for the record
// of a start: equal digests of one version mean equal behaviour. It covers one
// line for each setting in the order of config,
//
//	NAME=value (U+000A)
//
// with the value, or each item of a list, quoted as Go quotes a string. Secrets
// are left out; a public key counts by the SHA-256 of its PKIX form, whatever
// shape it was given in.
func (c config) digest() string {
	var lines strings.Builder
	for _, s := range settingsOf(&c) {
		if !s.secret() {
			fmt.Fprintf(&lines, "%s=%s\n", s.name, canonical(s.field.Interface()))
		}
	}
	fmt.Fprintf(&lines, "%s\n", c.Clerk.keyDigest())
	sum := sha256.Sum256([]byte(lines.String()))
	return hex.EncodeToString(sum[:])
}

func canonical(v any) string {
	if b, ok := v.(bool); ok {
		return fmt.Sprint(b)
	}
	return fmt.Sprintf("%q", v)
}

// keyDigest is the hex SHA-256 of the PKIX form of the PEM key, "" for none.
func (c clerkConfig) keyDigest() string {
	key, err := clerk.ParsePEM(string(c.PEMPublicKey))
	if err != nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
