package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollbook/audit"
)

func TestAuditKeyPrintsTheVerifierKeyOrMakesASecret(t *testing.T) {
	t.Parallel()
	dir := newTrail(t)
	if key := keyOf(t, dir); !strings.HasPrefix(key, "tollbook/") {
		t.Errorf("got %q, want a verifier key of the log", key)
	}
	var answer keyAnswer
	if err := json.Unmarshal([]byte(must(t, "audit", "key", "--json", dir)), &answer); err != nil ||
		answer.VerifierKey != keyOf(t, dir) || answer.SigningKey != "" {
		t.Errorf("got %+v, %v, want the verifier key alone", answer, err)
	}
	secret := strings.TrimSpace(must(t, "audit", "key", "--new"))
	if _, err := audit.ParseSigningKey(secret); err != nil {
		t.Errorf("got %v of a new key", err)
	}
	mustNot(t, exitUsage, "name no folder", "audit", "key", "--new", dir)
	mustNot(t, exitNo, "no day files", "audit", "key", t.TempDir())
}

func TestAGivenKeySignsAndIsNotInTheFolder(t *testing.T) {
	t.Parallel()
	secret := strings.TrimSpace(must(t, "audit", "key", "--new"))
	dir := filepath.Join(t.TempDir(), "audit")
	setting := "TOLLBOOK_AUDIT_SIGNING_KEY=" + secret
	s, stop := serving(t, "TOLLBOOK_AUDIT_DIR="+dir, setting)
	vkey := s.trail.VerifierKey()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "signing.key")); err == nil {
		t.Error("the key is in the folder")
	}
	must(t, "audit", "verify", dir, "--key", vkey)
	stdout, stderr, code := call(t, []string{setting}, "audit", "key", dir)
	if code != exitOK || strings.TrimSpace(stdout) != vkey {
		t.Errorf("got exit code %d, %q %q, want %s", code, stdout, stderr, vkey)
	}
	mustNot(t, exitNo, "without its signing.key", "audit", "key", dir)
	_, stderr, code = call(t, []string{"TOLLBOOK_AUDIT_SIGNING_KEY=" + secret[:40]}, "audit", "key", dir)
	if code != exitUsage || !strings.Contains(stderr, "TOLLBOOK_AUDIT_SIGNING_KEY: ") || strings.Contains(stderr, secret[:30]) {
		t.Errorf("a bad key: got exit code %d and %q, want 2, the setting, and nothing of the key", code, stderr)
	}
}

func TestAuditRotateKeyGoesOnWithTheNewOne(t *testing.T) {
	t.Parallel()
	dir := newTrail(t)
	first := keyOf(t, dir)
	_, stderr, code := call(t, nil, "audit", "rotate-key", dir)
	second := keyOf(t, dir)
	notes := notesIn(t, stderr)
	if code != exitOK || len(notes) == 0 || notes[len(notes)-1] != read(t, filepath.Join(dir, "checkpoint")) {
		t.Errorf("got exit code %d and %q, want the checkpoint that hands over", code, stderr)
	}
	file := filepath.Join(t.TempDir(), "new.key")
	secret := must(t, "audit", "key", "--new")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must(t, "audit", "rotate-key", dir, "--new-key-file", file); !strings.Contains(out, "Set TOLLBOOK_AUDIT_SIGNING_KEY") {
		t.Errorf("got %q, want what to set", out)
	}
	if first == second {
		t.Error("the key is the same")
	}
	must(t, "audit", "verify", dir, "--key", first)
	must(t, "audit", "verify", dir, "--key", second)
	setting := "TOLLBOOK_AUDIT_SIGNING_KEY=" + strings.TrimSpace(secret)
	if out, stderr, code := call(t, []string{setting}, "audit", "rotate-key", dir); code != exitOK || !strings.Contains(out, "unset") {
		t.Errorf("back into the folder: got exit code %d, %q %q", code, out, stderr)
	}
	must(t, "audit", "verify", dir, "--key", first)
	mustNot(t, exitNo, "no such", "audit", "rotate-key", filepath.Join(t.TempDir(), "none"))
}

func TestAuditQuarantineGivesUpOnlyWhatIsDamaged(t *testing.T) {
	t.Parallel()
	dir := newTrail(t)
	mustNot(t, exitNo, "nothing to quarantine", "audit", "quarantine", dir, "--why", "test")
	mustNot(t, exitUsage, "--why", "audit", "quarantine", dir)
	day := lastDay(t, dir)
	damaged := strings.Replace(read(t, day), `"reason":"start"`, `"reason":"stert"`, 1)
	if err := os.WriteFile(day, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}
	out, stderr, code := call(t, nil, "audit", "quarantine", dir, "--why", "J. Doe: a test")
	if code != exitOK || !strings.Contains(out, "quarantine_") {
		t.Errorf("got exit code %d and %q, want the folder", code, out)
	}
	notes := notesIn(t, stderr)
	if len(notes) == 0 || notes[len(notes)-1] != read(t, filepath.Join(dir, "checkpoint")) {
		t.Errorf("got %q, want the checkpoint of the new trail", stderr)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "quarantine_*", filepath.Base(day)))
	if err != nil || len(kept) != 1 || read(t, kept[0]) != damaged {
		t.Errorf("got %v, %v, want the damaged file as it was", kept, err)
	}
	if out := must(t, "audit", "verify", dir); !strings.Contains(out, "given up     quarantine_") {
		t.Errorf("got %q, want the log named that was given up", out)
	}
	if told := linesWith(onDisk(t, dir), `"reason":"quarantine"`, "J. Doe: a test"); told == "" {
		t.Error("the new trail does not tell of it")
	}
}

func TestAuditQuarantineForALostKeyIsAskedFor(t *testing.T) {
	t.Parallel()
	dir := newTrail(t)
	must(t, "audit", "verify", dir)
	mustNot(t, exitNo, "nothing to quarantine", "audit", "quarantine", dir, "--why", "test", "--key-lost")
	if err := os.Remove(filepath.Join(dir, "signing.key")); err != nil {
		t.Fatal(err)
	}
	mustNot(t, exitNo, "signing.key", "audit", "quarantine", dir, "--why", "test")
	if out := must(t, "audit", "quarantine", dir, "--why", "test", "--key-lost"); !strings.Contains(out, "quarantine_") {
		t.Errorf("got %q, want the folder", out)
	}
	must(t, "audit", "verify", dir)
}

func TestTooLittleRoomIsNotReadyAndRefused(t *testing.T) {
	t.Parallel()
	s, _ := serving(t, "TOLLBOOK_AUDIT_MIN_FREE=1048576GiB")
	_, stderr, code := call(t, []string{"TOLLBOOK_ADMIN_ADDR=" + s.admin.Addr().String()}, "health")
	if code != exitNo || !strings.Contains(stderr, "make room") {
		t.Errorf("got exit code %d and %q, want 1 and the cause", code, stderr)
	}
	if err := s.trail.Err(); err == nil {
		t.Error("the trail takes requests")
	}
}
