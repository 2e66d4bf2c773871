package audit

import (
	"crypto/sha256"
	"encoding/hex"
)

// A Hash is a SHA-256 digest (FIPS 180-4). In a record it is written as 64
// lower-case hex digits. The zero Hash is the prev_hash of the first record.
type Hash [sha256.Size]byte

// String returns the 64 lower-case hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// HashLine returns the hash of a line, without its newline: what the next line
// has as its prev_hash.
func HashLine(line []byte) Hash { return sha256.Sum256(line) }

// A Head is the end of the chain: how many lines it has and the hash of the
// last. The zero Head is that of an empty log.
type Head struct {
	Seq  int64 // of the last line
	Hash Hash  // of the last line
}

// follow checks that the record is the next of the chain.
func (h Head) follow(r *Record) error {
	if r.Seq != h.Seq+1 {
		return errorf("seq is %d, want %d", r.Seq, h.Seq+1)
	}
	if r.PrevHash != h.Hash {
		return errorf("prev_hash is not the hash of the line before (seq %d)", h.Seq)
	}
	return nil
}
