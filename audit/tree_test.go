package audit_test

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"tollbook/audit"
)

// A stored is another implementation's tree: its hashes by stored index.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		hashes[i] = s[at]
	}
	return hashes, nil
}

func (s stored) root(t *testing.T, size int64) audit.Hash {
	t.Helper()
	root, err := tlog.TreeHash(size, s)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Hash(root)
}

func leafOf(i int64) []byte { return strconv.AppendInt(nil, i, 10) }

// grow adds a leaf to both, and checks each node that ours tells of.
func grow(t *testing.T, own *audit.Tree, other stored) stored {
	t.Helper()
	line := leafOf(own.Size())
	hashes, err := tlog.StoredHashes(own.Size(), line, other)
	if err != nil {
		t.Fatal(err)
	}
	other = append(other, hashes...)
	told := 0
	own.Append(audit.LeafHash(line), func(level int, index int64, node audit.Hash) {
		told++
		if at := tlog.StoredHashIndex(level, index); at >= int64(len(other)) || audit.Hash(other[at]) != node {
			t.Errorf("size %d: node %d of level %d is another", own.Size(), index, level)
		}
	})
	if told != len(hashes) {
		t.Errorf("size %d: told of %d nodes, want %d", own.Size(), told, len(hashes))
	}
	return other
}

func TestTheTreeIsThatOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	var own audit.Tree
	var other stored
	rng := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // sizes of a test
	for size := range int64(20_000) {
		if small := size <= 300; small || rng.IntN(1000) == 0 {
			sameTree(t, &own, other, size)
		}
		other = grow(t, &own, other)
	}
}

func sameTree(t *testing.T, own *audit.Tree, other stored, size int64) {
	t.Helper()
	if got, want := own.Root(), other.root(t, size); got != want {
		t.Errorf("size %d: got root %s, want %s", size, got, want)
	}
	edge := own.Edge()
	if len(edge) != bits.OnesCount(uint(size)) || own.Size() != size { //nolint:gosec // it is not negative
		t.Errorf("size %d: got %d and %d subtrees", size, own.Size(), len(edge))
	}
	told := 0
	own.Nodes(func(level int, index int64, node audit.Hash) {
		if audit.Hash(other[tlog.StoredHashIndex(level, index)]) != node || node != edge[told] {
			t.Errorf("size %d: subtree %d of level %d is another", size, index, level)
		}
		told++
	})
	if told != len(edge) {
		t.Errorf("size %d: told of %d subtrees, want %d", size, told, len(edge))
	}
}

func TestATreeEndsWithItsOwnLeavesAlone(t *testing.T) {
	t.Parallel()
	var own audit.Tree
	var all []audit.Hash
	for size := range 65 {
		for n := range size + 1 {
			last := all[size-n:]
			if !own.EndsWith(last) {
				t.Errorf("size %d does not end with its %d last leaves", size, n)
			}
			// A leaf counts if it is within a subtree that lies within the leaves.
			covered := 0
			for left := size; left > 0 && covered+left&-left <= n; left -= left & -left {
				covered += left & -left
			}
			for at := range last {
				wrong := slices.Clone(last)
				wrong[at][3] ^= 1
				if within := at >= n-covered; own.EndsWith(wrong) == within {
					t.Errorf("size %d, %d leaves, another at %d: got %v, want %v", size, n, at, within, !within)
				}
			}
		}
		leaf := audit.LeafHash(leafOf(int64(size)))
		own.Append(leaf, nil)
		all = append(all, leaf)
	}
}
