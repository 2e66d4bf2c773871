package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollbook/audit"
)

func TestAKeyThatIsNoneIsExitCode2BeforeAnythingIsRead(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	key := keyOf(t, newTrail(t))
	name, rest, _ := strings.Cut(key, "+")
	for _, bad := range []string{"", "tollbook", key + "x", name + "+" + rest[1:], "PRIVATE+KEY+" + key, key + "," + key} {
		mustNot(t, exitUsage, "--key: not a verifier key", "audit", "verify", none, "--key", bad)
		mustNot(t, exitUsage, "--key: not a verifier key", "audit", "verify", none, "--key", key, "--key", bad)
		if bad != "" {
			mustNot(t, exitUsage, "--key: not a verifier key", "audit", "prove", "--check", none, "--key", bad)
			mustNot(t, exitUsage, "--key: not a verifier key", "audit", "prove", "--check", none+".zip", "--key", bad)
		}
	}
	mustNot(t, exitUsage, "two keys are named tollbook/", "audit", "verify", none, "--key", key, "--key", key)
}

func TestAuditVerifyTakesTheKeyThatIsNamedAfterTheLog(t *testing.T) {
	t.Parallel()
	dir := twoLogs(t)
	first, second := filepath.Join(dir, "api-0"), filepath.Join(dir, "api-1")
	one, two, anyLog := keyOf(t, first), keyOf(t, second), audit.NewSigningKey().VerifierKey()
	for _, c := range []struct {
		what, dir string
		keys      []string
		want      int
		word      string
	}{
		{"its own", first, []string{one}, exitOK, "verified\n"},
		{"its own among others", first, []string{two, anyLog, one}, exitOK, "verified\n"},
		{"another's", first, []string{two}, exitNo, "no --key is of this log (" + idOf(t, first) + ")"},
		{"the one for any", first, []string{two, anyLog}, exitNo, "no checkpoint is signed with the key"},
		{"each its own", dir, []string{two, one}, exitOK, "api-1: verified\n"},
		{"its own before the one for any", dir, []string{two, anyLog, one}, exitOK, "api-1: verified\n"},
		{"one without", dir, []string{one}, exitNo, "api-1: failed: no --key is of this log (" + idOf(t, second) + ")"},
		{"the one for any is of none", dir, []string{one, anyLog}, exitNo, "api-1: failed: audit: checkpoint: no checkpoint is signed"},
	} {
		args := []string{"audit", "verify", c.dir}
		for _, key := range c.keys {
			args = append(args, "--key", key)
		}
		stdout, stderr, code := call(t, nil, args...)
		if code != c.want || !strings.Contains(stdout, c.word) || strings.Contains(stdout, "self-attested") {
			t.Errorf("%s: got exit code %d and\n%s%s", c.what, code, stdout, stderr)
		}
	}
}

func idOf(t *testing.T, dir string) string {
	t.Helper()
	id, err := audit.IDOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAPlainKeyVerifiesEveryLogThatItSigns(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), audit.NewSigningKey()
	for _, pod := range []string{"api-0", "api-1"} {
		trail, err := audit.Open(audit.Config{Dir: filepath.Join(dir, pod), SigningKey: key})
		if err != nil {
			t.Fatal(err)
		}
		if err := trail.Close(); err != nil {
			t.Fatal(err)
		}
	}
	out := must(t, "audit", "verify", dir, "--key", key.VerifierKey())
	if strings.Count(out, ": verified\n") != 2 {
		t.Errorf("got %s, want both verified", out)
	}
}

func TestALogWhoseKeyIsGivenMustBeThere(t *testing.T) {
	t.Parallel()
	dir, gone := twoLogs(t), keyOf(t, newTrail(t))
	name, _, _ := strings.Cut(gone, "+")
	args := []string{
		"audit", "verify", dir, "--key", gone,
		"--key", keyOf(t, filepath.Join(dir, "api-0")), "--key", keyOf(t, filepath.Join(dir, "api-1")),
	}
	mustNot(t, exitNo, "failed: --key "+name+": the log that it is of is not here", args...)
	stdout, _, _ := call(t, nil, append(args, "--json")...)
	var all verdicts
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || all.OK || len(all.Logs) != 3 || all.Logs[2].OK {
		t.Errorf("got %+v, %v, want a third that fails", all, err)
	}
}

func TestALogWithoutItsCheckpointIsHeldAgainstAGivenKey(t *testing.T) {
	t.Parallel()
	dir := newTrail(t)
	key := keyOf(t, dir)
	if err := os.Remove(filepath.Join(dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	mustNot(t, exitNo, "failed: audit: checkpoint: ", "audit", "verify", dir, "--key", key)
	keys, err := parseVerifierKeys([]string{key})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := keys.of(dir); err != nil || got != key {
		t.Errorf("got %q, %v, want the key that is given", got, err)
	}
}

func TestOneLogBeginsAtOneCheckpoint(t *testing.T) {
	t.Parallel()
	dir := twoLogs(t)
	one := copyOf(t, filepath.Join(dir, "api-0", "checkpoint"))
	two := copyOf(t, filepath.Join(dir, "api-1", "checkpoint"))
	mustNot(t, exitUsage, "--from is given twice for log "+idOf(t, filepath.Join(dir, "api-0")),
		"audit", "verify", dir, "--from", one, "--from", two, "--from", copyOf(t, one))
	mustNot(t, exitUsage, "--from is given twice", "audit", "verify", filepath.Join(dir, "api-0"), "--from", two, "--from", one)
	mustNot(t, exitUsage, "--from is given twice", "audit", "verify", filepath.Join(dir, "api-0"), "--from", one, "--from", one)
	if _, stderr, code := call(t, nil, "audit", "verify", dir, "--from", one, "--from", two); code == exitUsage {
		t.Errorf("one for each log: got exit code %d, %s", code, stderr)
	}
}
