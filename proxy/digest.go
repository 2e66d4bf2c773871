package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"tollbook/audit"
)

// A digester takes the SHA-256 and the length of what passes.
type digester struct {
	hash     hash.Hash
	bytes    int64
	complete bool // the end was reached
}

func newDigester() digester { return digester{hash: sha256.New()} }

func (d *digester) add(p []byte) {
	_, _ = d.hash.Write(p) // never fails (hash.Hash)
	d.bytes += int64(len(p))
}

func (d *digester) digest() *audit.Body {
	b := &audit.Body{Bytes: d.bytes, Complete: d.complete}
	d.hash.Sum(b.SHA256[:0])
	return b
}

// emptyBody tells of a request without a body.
func emptyBody() *audit.Body {
	return &audit.Body{SHA256: sha256.Sum256(nil), Complete: true}
}

func hashText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
