package audit

import (
	"crypto/sha256"
	"math/bits"
	"slices"
)

// A tree is the right edge of an RFC 6962 Merkle tree over the lines of a log:
// all that is needed to go on from. The leaf of index i is the line of seq i+1.
// The zero value is the empty tree. Not safe for concurrent use.
type tree struct {
	size int64
	// edge has the roots of the perfect subtrees that the tree is made of, left
	// to right, largest first: one for each bit that is set in size.
	edge []Hash
}

// emptyRoot is the root of the empty tree: the hash of nothing.
var emptyRoot = Hash(sha256.Sum256(nil))

// append adds a leaf, given by its [leafHash].
func (t *tree) append(leaf Hash) { t.appendNodes(leaf, nil) }

// appendNodes is append that tells, if made is not nil, of each perfect subtree
// that is complete with the leaf: its level (0 is the leaf) and its index among
// those of the level.
func (t *tree) appendNodes(node Hash, made func(level int, index int64, node Hash)) {
	level := 0
	for n := t.size; ; n, level = n>>1, level+1 {
		if made != nil {
			made(level, n, node)
		}
		if n&1 == 0 {
			break
		}
		last := len(t.edge) - 1
		node = nodeHash(t.edge[last], node)
		t.edge = t.edge[:last]
	}
	t.edge = append(t.edge, node)
	t.size++
}

// nodes tells of the perfect subtrees of the edge, as appendNodes does.
func (t *tree) nodes(made func(level int, index int64, node Hash)) {
	left := int64(0)
	for i, size := 0, t.size; size > 0; i++ {
		level := bits.Len64(uint64(size)) - 1
		made(level, left>>level, t.edge[i])
		left += 1 << level
		size -= 1 << level
	}
}

// root returns the tree's root (RFC 6962 §2.1).
func (t *tree) root() Hash {
	if t.size == 0 {
		return emptyRoot
	}
	last := len(t.edge) - 1
	root := t.edge[last]
	for i := last - 1; i >= 0; i-- {
		root = nodeHash(t.edge[i], root)
	}
	return root
}

// whole reports whether the edge has as many subtrees as the size asks for.
func (t *tree) whole() bool { return t.size >= 0 && len(t.edge) == bits.OnesCount64(uint64(t.size)) }

// endsWith checks the subtrees at the right end of the edge that lie wholly
// within these leaves, the last of which is the tree's last.
func (t *tree) endsWith(leaves []Hash) bool {
	size := t.size
	for _, root := range slices.Backward(t.edge) {
		width := size & -size
		if width > int64(len(leaves)) {
			break
		}
		var sub tree
		from := len(leaves) - int(width)
		for _, leaf := range leaves[from:] {
			sub.append(leaf)
		}
		if sub.root() != root {
			return false
		}
		leaves, size = leaves[:from], size-width
	}
	return true
}

// copyOf makes t a copy of other, in t's own memory, and returns it.
func (t *tree) copyOf(other *tree) *tree {
	t.size, t.edge = other.size, append(t.edge[:0], other.edge...)
	return t
}
