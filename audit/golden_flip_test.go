package audit_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tollbook/audit"
)

// flips goes through every so many bytes of a file, with each flipped on disk in
// its turn.
func flips(t *testing.T, path string, step int, check func(data []byte, at int)) {
	t.Helper()
	data := read(t, path)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if testing.Short() {
		step = 31
	}
	for i := 0; i < len(data); i += step {
		if _, err := f.WriteAt([]byte{data[i] ^ 1}, int64(i)); err != nil {
			t.Fatal(err)
		}
		check(data, i)
		if _, err := f.WriteAt(data[i:i+1], int64(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// verifyError verifies the trail and returns what is no good, nil if nothing is.
func verifyError(t *testing.T, dir string, cfg audit.VerifyConfig) *audit.VerifyError {
	t.Helper()
	_, err := audit.Verify(t.Context(), dir, cfg)
	if err == nil {
		return nil
	}
	var at *audit.VerifyError
	if !errors.As(err, &at) {
		t.Fatalf("got %v, want a VerifyError", err)
	}
	return at
}

// A byte of a line that is flipped is found in that line, or, where it stays a
// good one, in the next, whose prev_hash is another.
func TestEveryFlippedByteOfALineIsFoundThere(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]int{"one-day": 1, "three-days": 5} { // 5: it is the longest
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := goldenCopy(t, name)
			files := dayFiles(t, dir)
			for f, path := range files {
				lines := int64(bytes.Count(read(t, path), []byte("\n")))
				flips(t, path, step, func(data []byte, i int) {
					line := int64(bytes.Count(data[:i], []byte("\n")) + 1)
					at := verifyError(t, dir, audit.VerifyConfig{})
					switch {
					case at == nil:
						t.Errorf("%s: byte %d of line %d: not found", filepath.Base(path), i, line)
					case at.File == filepath.Base(path) && (at.Line == line || at.Line == line+1):
					case line == lines && f+1 < len(files) && at.File == filepath.Base(files[f+1]) && at.Line == 1:
					default:
						t.Errorf("%s: byte %d of line %d: found elsewhere: %v", filepath.Base(path), i, line, at)
					}
				})
			}
			verify(t, dir)
		})
	}
}

// A byte of a checkpoint that is flipped is found in that file.
func TestEveryFlippedByteOfACheckpointIsFoundThere(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]int{"one-day": 1, "rotated": 1, "three-days": 5} { // 5: it has the most
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := goldenCopy(t, name)
			for _, file := range slices.Sorted(maps.Keys(contents(t, dir))) {
				if !strings.HasPrefix(file, "checkpoint") {
					continue
				}
				flips(t, filepath.Join(dir, file), step, func(data []byte, i int) {
					at := verifyError(t, dir, audit.VerifyConfig{})
					if at == nil || at.File != file {
						t.Errorf("%s: byte %d (%q): got %v, want it found there", file, i, data[i], at)
					}
				})
			}
			verify(t, dir)
		})
	}
}

// The evidence that a repair leaves is no part of the trail: the recovery record
// has its hash.
func TestEvidenceIsHeldByItsRecord(t *testing.T) {
	t.Parallel()
	dir, _ := golden(t, "three-days")
	names, err := filepath.Glob(filepath.Join(dir, "*.torn-*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got the evidence %q (%v), want one file", names, err)
	}
	recovery := where(records(t, dir), reason("recovery"))[0]
	named, _ := recovery.Metadata.Get("evidence")
	hash, _ := recovery.Metadata.Get("sha256")
	if got, _ := named.Str(); got != filepath.Base(names[0]) {
		t.Errorf("got the evidence %q, want %q", got, filepath.Base(names[0]))
	}
	if got, _ := hash.Str(); got != audit.HashLine(read(t, names[0])).String() {
		t.Errorf("got the hash %q, want that of %s", got, names[0])
	}
}
