package main

import (
	"archive/zip"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// unzipped returns the files of a zip.
func unzipped(t *testing.T, path string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(content)
	}
	return files
}

func TestAnExportIsCheckedInBoundedMemoryAndInOneFormOnly(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	key, path := keyOf(t, dir), filepath.Join(t.TempDir(), "case.zip")
	must(t, "audit", "export", dir, "--user", "user_2", "--with-proofs", "-o", path)
	good := unzipped(t, path)
	first, rest, _ := strings.Cut(good[bundleProofs], "\n")
	for what, c := range map[string]struct{ proofs, want string }{
		"a line without end":  {`{"seq":1,"hashes":["` + strings.Repeat("A", 8<<20), "longer than"},
		"many hashes":         {`{"seq":1,"hashes":[` + strings.Repeat(`"",`, 1<<20) + `""]}` + "\n", "longer than"},
		"spaces without end":  {strings.Repeat(" ", 1<<20) + first + "\n" + rest, "longer than"},
		"an unknown field":    {strings.Replace(first, `{`, `{"more":1,`, 1) + "\n" + rest, "not in the form"},
		"two in a line":       {first + first + "\n" + rest, "not in the form"},
		"something behind it": {first + " x\n" + rest, "not in the form"},
		"an empty line":       {"\n" + good[bundleProofs], "not in the form"},
		"a proof in two":      {strings.Replace(first, ",", ",\n", 1) + "\n" + rest, "not in the form"},
		"one cut off":         {strings.TrimSuffix(good[bundleProofs], "\n"), "cut off"},
		"one too few":         {first + "\n", "no proof of it"},
		"one too many":        {good[bundleProofs] + first + "\n", "more proofs than records"},
	} {
		bad := maps.Clone(good)
		bad[bundleProofs] = c.proofs
		stdout, stderr, code := call(t, nil, "audit", "prove", "--check", zipOf(t, bad), "--key", key)
		if code != exitNo || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: got exit code %d and %q, want 1 and %q", what, code, stdout+stderr, c.want)
		}
	}
}

// It runs alone: what others allocate would count.
func TestAHugeProofTakesNoMemory(t *testing.T) {
	dir := twoDays(t)
	key, path := keyOf(t, dir), filepath.Join(t.TempDir(), "case.zip")
	must(t, "audit", "export", dir, "--user", "user_2", "--with-proofs", "-o", path)
	bad := unzipped(t, path)
	bad[bundleProofs] = fmt.Sprintf(`{"seq":1,"hashes":[%s""]}`+"\n", strings.Repeat(`"",`, 2<<20))
	huge := zipOf(t, bad)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	mustNot(t, exitNo, "longer than", "audit", "prove", "--check", huge, "--key", key)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("got %d bytes allocated, want at most 16 MiB", got)
	}
}

func TestAnExportBeginsAtTheLastCheckpointOfWhatWasMovedAway(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	key, day := keyOf(t, dir), firstDay(t, dir)
	history := copyOf(t, filepath.Join(dir, "checkpoints_"+day+".txt"))
	for _, name := range []string{"audit_" + day + ".jsonl", "checkpoints_" + day + ".txt"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "case.zip")
	args := []string{"audit", "export", dir, "--user", "user_2", "--with-proofs", "-o", path}
	if _, _, code := call(t, nil, args...); code != exitNo {
		t.Errorf("without --begin: got exit code %d, want 1", code)
	}
	must(t, append(args, "--begin", history)...)
	if out := must(t, "audit", "prove", "--check", path, "--key", key); !strings.HasPrefix(out, "proved: 2 records") {
		t.Errorf("got %q, want two records proved", out)
	}
}
