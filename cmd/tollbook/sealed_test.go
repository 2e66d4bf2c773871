package main

import (
	"archive/zip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tollbook/audit"
)

// must runs a command that must end with exit code 0, and returns what it prints.
func must(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := call(t, nil, args...)
	if code != exitOK {
		t.Fatalf("%v: got exit code %d, %s%s", args, code, stdout, stderr)
	}
	return stdout
}

// mustNot runs a command that must end with this exit code and say the words.
func mustNot(t *testing.T, want int, word string, args ...string) {
	t.Helper()
	stdout, stderr, code := call(t, nil, args...)
	if code != want || !strings.Contains(stdout+stderr, word) {
		t.Errorf("%v: got exit code %d and %q, want %d and %q", args, code, stdout+stderr, want, word)
	}
}

func keyOf(t *testing.T, dir string) string {
	t.Helper()
	return strings.TrimSpace(must(t, "audit", "key", dir))
}

func copyOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(kept, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestAuditVerifyHoldsTheTrailAgainstWhatIsKnownFromElsewhere(t *testing.T) {
	t.Parallel()
	dir, other := twoDays(t), newTrail(t)
	key, anchor := keyOf(t, dir), copyOf(t, filepath.Join(dir, "checkpoint"))
	if out := must(t, "audit", "verify", dir, "--key", key, "--checkpoint", anchor); !strings.HasPrefix(out, "verified\n") {
		t.Errorf("got %q, want a verdict that is not self-attested", out)
	}
	mustNot(t, exitNo, "no checkpoint is signed with the key", "audit", "verify", other, "--key",
		audit.NewSigningKey().VerifierKey())
	mustNot(t, exitNo, "another log", "audit", "verify", other, "--checkpoint", anchor)
	mustNot(t, exitUsage, "not a checkpoint", "audit", "verify", dir, "--checkpoint", filepath.Join(dir, "signing.key"))
	mustNot(t, exitUsage, "no such file", "audit", "verify", dir, "--from", filepath.Join(dir, "none"))
	// Cut back with its own older checkpoint, as a restored backup is.
	first := filepath.Join(dir, "checkpoints_"+firstDay(t, dir)+".txt")
	notes, err := audit.Notes([]byte(read(t, first)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Base(lastDay(t, dir)), filepath.Base(historyOf(lastDay(t, dir)))} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoint"), notes[0], 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "audit", "verify", dir)
	mustNot(t, exitNo, "lines are missing", "audit", "verify", dir, "--checkpoint", anchor)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func lastDay(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "audit_*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("day files: %v, %v", files, err)
	}
	return files[len(files)-1]
}

func firstDay(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "audit_*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("day files: %v, %v", files, err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(files[0]), "audit_"), ".jsonl")
}

func historyOf(dayFile string) string {
	name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dayFile), "audit_"), ".jsonl")
	return filepath.Join(filepath.Dir(dayFile), "checkpoints_"+name+".txt")
}

func TestAuditVerifyFromTheLastCheckpointOfWhatWasMovedAway(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	day := firstDay(t, dir)
	history := copyOf(t, filepath.Join(dir, "checkpoints_"+day+".txt"))
	for _, name := range []string{"audit_" + day + ".jsonl", "checkpoints_" + day + ".txt"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	mustNot(t, exitNo, "partial", "audit", "verify", dir)
	out := must(t, "audit", "verify", dir, "--from", history, "--key", keyOf(t, dir))
	if !strings.HasPrefix(out, "verified\n") || !strings.Contains(out, "begun at") {
		t.Errorf("got %q, want verified and where it began", out)
	}
}

func TestAuditVerifyOfAFolderOfLogsIsAsGoodAsTheWorst(t *testing.T) {
	t.Parallel()
	dir := twoLogs(t)
	logs, err := audit.Logs(dir)
	if err != nil || len(logs) != 2 {
		t.Fatalf("got logs %v, %v", logs, err)
	}
	anchor := copyOf(t, filepath.Join(dir, logs[1], "checkpoint"))
	out := must(t, "audit", "verify", dir, "--checkpoint", anchor)
	for _, name := range logs {
		if !strings.Contains(out, name+": verified") {
			t.Errorf("got %q, want a verdict of %s", out, name)
		}
	}
	mustNot(t, exitNo, "is not here", "audit", "verify", dir, "--checkpoint",
		copyOf(t, filepath.Join(newTrail(t), "checkpoint")))
	damage(t, filepath.Join(dir, logs[1]))
	stdout, _, code := call(t, nil, "audit", "verify", dir, "--json")
	var all verdicts
	if err := json.Unmarshal([]byte(stdout), &all); err != nil {
		t.Fatal(err)
	}
	if code != exitNo || all.OK || len(all.Logs) != 2 || !all.Logs[0].OK || all.Logs[1].OK || all.Logs[1].Log != logs[1] {
		t.Errorf("got exit code %d and %+v, want the second log to fail alone", code, all)
	}
	// A log whose day files are all gone is no log that is fine.
	if err := os.Remove(lastDay(t, filepath.Join(dir, logs[0]))); err != nil {
		t.Fatal(err)
	}
	mustNot(t, exitNo, "no day files", "audit", "verify", dir)
}

func TestAuditProveMakesWhatItChecks(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	key, early := keyOf(t, dir), filepath.Join(dir, "checkpoints_"+firstDay(t, dir)+".txt")
	for seq := 1; seq <= 4; seq++ {
		path := filepath.Join(t.TempDir(), "proof")
		must(t, "audit", "prove", strconv.Itoa(seq), dir, "-o", path)
		if out := must(t, "audit", "prove", "--check", path, "--key", key); !strings.HasPrefix(out, "proved: seq "+strconv.Itoa(seq)) {
			t.Errorf("got %q", out)
		}
		var p proved
		if err := json.Unmarshal([]byte(must(t, "audit", "prove", "--check", path, "--key", key, "--json")), &p); err != nil || !p.Proved {
			t.Errorf("got %+v, %v", p, err)
		}
		mustNot(t, exitNo, "not of this log", "audit", "prove", "--check", path, "--key", keyOf(t, newTrail(t)))
	}
	path := filepath.Join(t.TempDir(), "consistency")
	must(t, "audit", "prove", "--since", early, dir, "-o", path)
	if out := must(t, "audit", "prove", "--check", path, "--key", key); !strings.Contains(out, "are the beginning of") {
		t.Errorf("got %q", out)
	}
	mustNot(t, exitNo, "no checkpoint covers seq 99", "audit", "prove", "99", dir)
	mustNot(t, exitUsage, "no seq", "audit", "prove", "x", dir)
	mustNot(t, exitUsage, "seq begins at 1", "audit", "prove", "0", dir)
	mustNot(t, exitUsage, "give one of", "audit", "prove")
	mustNot(t, exitUsage, "--check needs --key", "audit", "prove", "--check", path)
	mustNot(t, exitNo, "neither a proof", "audit", "prove", "--check", early, "--key", key)
}

func TestAuditExportWithProofsStandsAlone(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	key, path := keyOf(t, dir), filepath.Join(t.TempDir(), "case.zip")
	must(t, "audit", "export", dir, "--user", "user_2", "--with-proofs", "-o", path)
	alone(t, path)
	held := unzipped(t, path)
	if want := linesWith(onDisk(t, dir), `"user_id":"user_2"`); held["records.jsonl"] != want || want == "" {
		t.Errorf("got records\n%s\nwant\n%s", held["records.jsonl"], want)
	}
	if strings.TrimSpace(held["verifier_key.txt"]) != key || !strings.Contains(held["README.txt"], "prove --check") {
		t.Errorf("got key %q and README %q", held["verifier_key.txt"], held["README.txt"])
	}
	if out := must(t, "audit", "prove", "--check", path, "--key", key); !strings.HasPrefix(out, "proved: 2 records") {
		t.Errorf("got %q, want two records proved", out)
	}
	for what, change := range map[string]func(h map[string]string){
		"a record altered": func(h map[string]string) {
			h["records.jsonl"] = strings.Replace(h["records.jsonl"], "user_2", "user_3", 1)
		},
		"a record taken": func(h map[string]string) {
			h["records.jsonl"] = h["records.jsonl"][strings.Index(h["records.jsonl"], "\n")+1:]
		},
		"a proof taken": func(h map[string]string) {
			h["proofs.jsonl"] = h["proofs.jsonl"][strings.Index(h["proofs.jsonl"], "\n")+1:]
		},
		"no proofs":         func(h map[string]string) { h["proofs.jsonl"] = "" },
		"nothing":           func(h map[string]string) { h["proofs.jsonl"], h["records.jsonl"] = "", "" },
		"a checkpoint less": func(h map[string]string) { delete(h, "checkpoint") },
	} {
		bad := maps.Clone(held)
		change(bad)
		if _, _, code := call(t, nil, "audit", "prove", "--check", zipOf(t, bad), "--key", key); code != exitNo {
			t.Errorf("%s: got exit code %d, want 1", what, code)
		}
	}
	mustNot(t, exitUsage, "name it with --output", "audit", "export", dir, "--with-proofs")
	mustNot(t, exitUsage, "jsonl only", "audit", "export", dir, "--with-proofs", "--format", "csv", "-o", path+"2")
	mustNot(t, exitNo, "nothing to prove", "audit", "export", dir, "--with-proofs", "--user", "nobody", "-o", path+"2")
	mustNot(t, exitUsage, "one log at a time", "audit", "export", twoLogs(t), "--with-proofs", "-o", path+"2")
	damage(t, dir)
	mustNot(t, exitNo, "line", "audit", "export", dir, "--with-proofs", "-o", path+"2")
	alone(t, path)
}

func zipOf(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bad.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
