package audit

import "crypto/sha256"

// The prefixes that keep a leaf from being taken for a node (RFC 6962 §2.1).
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// leafHash returns the hash of a line, without its newline, as a leaf of the
// tree: SHA-256(0x00 || line), RFC 6962 §2.1. It allocates nothing.
func leafHash(line []byte) (leaf Hash) {
	h := sha256.New()
	_, _ = h.Write([]byte{leafPrefix}) // a Hash's Write never fails
	_, _ = h.Write(line)
	h.Sum(leaf[:0])
	return leaf
}

// nodeHash returns the hash of a node of the tree from those of its two halves:
// SHA-256(0x01 || left || right), RFC 6962 §2.1. It allocates nothing.
func nodeHash(left, right Hash) Hash {
	var node [1 + 2*sha256.Size]byte
	node[0] = nodePrefix
	copy(node[1:], left[:])
	copy(node[1+len(left):], right[:])
	return sha256.Sum256(node[:])
}
