package audit

import "crypto/sha256"

var emptyRoot = Hash(sha256.Sum256(nil))

func leafHash(line []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(line)
	var out Hash
	h.Sum(out[:0])
	return out
}

func nodeHash(left, right Hash) Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}
