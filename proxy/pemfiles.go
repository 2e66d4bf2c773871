package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxPEMBytes bounds a file of keys or certificates. The bundle of all roots of
// a system has 200 KiB.
const maxPEMBytes = 4 << 20

// readPEM reads a file, which may be a secret that a cluster mounts.
func readPEM(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err // names the file
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxPEMBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxPEMBytes {
		return nil, fmt.Errorf("%q has more than %d bytes: it is no PEM file", name, maxPEMBytes)
	}
	return content, nil
}

// parseRoots makes a pool of every certificate in the file, and of no others.
func parseRoots(file string, content []byte) (*x509.CertPool, error) {
	certs, err := parseCertificates(file, content)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool, nil
}

// parseCertificates returns all certificates of the file: one at least.
func parseCertificates(file string, content []byte) (certs []*x509.Certificate, err error) {
	keys := false
	for block := range blocks(content) {
		if block.Type != "CERTIFICATE" {
			keys = keys || isKey(block)
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%q: certificate %d: %w", file, len(certs)+1, err)
		}
		certs = append(certs, cert)
	}
	switch {
	case len(certs) > 0:
		return certs, nil
	case keys:
		return nil, fmt.Errorf("%q holds a key and no certificate", file)
	default:
		return nil, fmt.Errorf("%q: no certificate in PEM form", file)
	}
}

// parsePair makes a certificate of its chain, leaf first, and its key.
func parsePair(p pairFiles, chain, key []byte, now time.Time) (*tls.Certificate, error) {
	certs, err := parseCertificates(p.cert, chain)
	if err != nil {
		return nil, err
	}
	if err := checkKey(p.key, key); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%q with the certificate in %q: %w", p.key, p.cert, err)
	}
	if leaf := certs[0]; now.After(leaf.NotAfter) {
		return nil, fmt.Errorf("%q: the certificate has expired, on %s",
			p.cert, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return &pair, nil
}

// pairFiles are where a certificate and its key stand.
type pairFiles struct{ cert, key string }

var errEncrypted = errors.New("the key is encrypted: nobody is there to type its passphrase, " +
	"so it must be decrypted first")

// checkKey says what is wrong with a file that holds no usable key.
func checkKey(file string, content []byte) error {
	for block := range blocks(content) {
		switch {
		case !isKey(block):
			continue
		case strings.HasPrefix(block.Type, "ENCRYPTED "), isEncrypted(block):
			return fmt.Errorf("%q: %w", file, errEncrypted)
		}
		return nil
	}
	return fmt.Errorf("%q: no private key in PEM form", file)
}

func isKey(block *pem.Block) bool { return strings.HasSuffix(block.Type, "PRIVATE KEY") }

// isEncrypted reports whether a key is encrypted in the way of RFC 1421, which
// keeps the block's type.
func isEncrypted(block *pem.Block) bool {
	return strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
}

// blocks yields the PEM blocks of the content.
func blocks(content []byte) func(yield func(*pem.Block) bool) {
	return func(yield func(*pem.Block) bool) {
		for {
			var block *pem.Block
			if block, content = pem.Decode(content); block == nil || !yield(block) {
				return
			}
		}
	}
}
