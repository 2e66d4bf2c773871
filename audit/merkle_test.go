package audit_test

import (
	"bytes"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"tollbook/audit"
)

// leaves are lines of lengths on either side of SHA-256's blocks.
func leaves() [][]byte {
	lines := [][]byte{[]byte(goldenSmall), []byte(goldenFull)}
	for _, n := range []int{0, 1, 54, 55, 56, 62, 63, 64, 65, 128, audit.MaxLine - 1} {
		lines = append(lines, bytes.Repeat([]byte("x"), n))
	}
	return lines
}

func TestLeafAndNodeHashesAreThoseOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	var before audit.Hash
	for _, line := range leaves() {
		leaf := audit.LeafHash(line)
		if want := tlog.RecordHash(line); tlog.Hash(leaf) != want {
			t.Errorf("leaf of %d bytes: got %s, want %x", len(line), leaf, want)
		}
		node := audit.NodeHash(before, leaf)
		if want := tlog.NodeHash(tlog.Hash(before), tlog.Hash(leaf)); tlog.Hash(node) != want {
			t.Errorf("node over %d bytes: got %s, want %x", len(line), node, want)
		}
		before = leaf
	}
}

func TestLeafAndNodeHashesAllocateNothing(t *testing.T) {
	line := []byte(goldenFull)
	var node audit.Hash
	if n := testing.AllocsPerRun(100, func() { node = audit.NodeHash(node, audit.LeafHash(line)) }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}
