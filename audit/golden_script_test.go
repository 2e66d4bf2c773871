package audit_test

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"tollbook/audit"
)

const verifyScript = "../deploy/verify_trail.py"

// scriptDriver runs the script's function over many folders in one process: of
// each line of its input, a folder and perhaps a key, one line of verdict.
const scriptDriver = `
import runpy, sys
verify = runpy.run_path(sys.argv[1])["verify"]
for line in sys.stdin:
    try:
        print(verify(*line.rstrip("\n").split("\t")))
    except ValueError as bad:
        print("not verified:", bad)
`

// A scriptCase is a folder and what the script must make of it.
type scriptCase struct {
	name, dir, key string
	good           bool
}

// findPython returns an interpreter that can check signatures, "" if there is
// none.
var findPython = sync.OnceValue(func() string {
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		find := exec.Command(name, "-c", "import cryptography, sys; print(sys.executable)")
		if path, err := find.Output(); err == nil {
			return strings.TrimSpace(string(path))
		}
	}
	return ""
})

// python returns the interpreter for the script, which it reads itself too, so
// that results of another script are not taken from the test cache.
func python(t *testing.T) string {
	t.Helper()
	_ = read(t, verifyScript)
	path := findPython()
	if path != "" {
		return path
	}
	why := "no python3 imports cryptography, so nothing foreign reads the trails: apt-get install python3-cryptography"
	if slices.Contains(os.Environ(), "TOLLBOOK_TEST_REQUIRE=all") {
		t.Fatal(why)
	}
	t.Skip("SKIPPED, NOT PROVED: " + why)
	return ""
}

// scriptAgrees fails the test where the script says other than it should.
func scriptAgrees(t *testing.T, cases []scriptCase) {
	t.Helper()
	var in bytes.Buffer
	for _, c := range cases {
		in.WriteString(c.dir)
		if c.key != "" {
			in.WriteString("\t" + c.key)
		}
		in.WriteString("\n")
	}
	cmd := exec.CommandContext(t.Context(), python(t), "-c", scriptDriver, verifyScript) //nolint:gosec // as found
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	verdicts := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if err != nil || len(verdicts) != len(cases) {
		t.Fatalf("the script: %v, %d verdicts, want %d", err, len(verdicts), len(cases))
	}
	for i, c := range cases {
		if good := strings.HasPrefix(verdicts[i], "verified: "); good != c.good {
			t.Errorf("%s: the script says %q, want it good: %v", c.name, verdicts[i], c.good)
		}
	}
}

// run runs the script as a user does, and returns its exit code and what it says.
func runScript(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python(t), args...) //nolint:gosec // as found
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(said)
}

func TestScriptTakesTheGoldenTrails(t *testing.T) {
	t.Parallel()
	var cases []scriptCase
	for name := range goldenTrails {
		dir, key := golden(t, name)
		cases = append(cases, scriptCase{name, dir, key, true}, scriptCase{name + " alone", dir, "", true},
			scriptCase{name + ", half a key", dir, key[:len(key)-4], false})
	}
	dir, _ := golden(t, "one-day")
	_, other := golden(t, "rotated")
	cases = append(cases, scriptCase{"another log's key", dir, other, false})
	scriptAgrees(t, cases)
}

func TestScriptSaysWhatItFound(t *testing.T) {
	t.Parallel()
	dir, key := goldenCopy(t, "three-days")
	report, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{})
	if err != nil {
		t.Fatal(err)
	}
	want := "verified: 19 records, 0 of them not signed yet, log " + report.LogID + ", head " + report.Head.Hash.String()
	if code, out := runScript(t, verifyScript, dir, key); code != 0 || out != want+"\n" {
		t.Errorf("got exit code %d and %q, want 0 and %q", code, out, want)
	}
	alone := want + "; self-attested: no verifier key was given\n"
	if code, out := runScript(t, verifyScript, dir); code != 0 || out != alone {
		t.Errorf("without a key: got exit code %d and %q, want 0 and %q", code, out, alone)
	}
	if code, out := runScript(t, verifyScript, dir, ""); code != 1 || !strings.HasPrefix(out, "not verified: ") {
		t.Errorf("with an empty key: got exit code %d and %q, want 1 and not verified", code, out)
	}
	editLine(t, dir, "audit_20260302.jsonl", 4, func(b []byte) []byte {
		return bytes.Replace(b, []byte("user_1"), []byte("user_2"), 1)
	})
	place := "not verified: audit_20260302.jsonl: line 5 (seq 10): prev_hash is "
	if code, out := runScript(t, verifyScript, dir); code != 1 || !strings.HasPrefix(out, place) {
		t.Errorf("of an altered trail: got exit code %d and %q, want 1 and %q", code, out, place)
	}
	if code, _ := runScript(t, verifyScript); code == 0 {
		t.Error("without a folder: got exit code 0")
	}
}

// Whoever can write the folder can write behind the newest checkpoint: how much
// stands there is told.
func TestLinesBehindTheNewestCheckpointAreToldOf(t *testing.T) {
	t.Parallel()
	dir, key := goldenCopy(t, "one-day")
	edit(t, dir, firstDay, func(b []byte) []byte {
		stop := b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]
		next := bytes.Replace(stop, []byte(`"seq":11`), []byte(`"seq":12`), 1)
		at := bytes.Index(next, []byte(`"boot_id":"`)) + len(`"boot_id":"`)
		copy(next[at:], strings.Repeat("0", 32)) // of another run: nothing follows a stop
		return append(b, next...)
	})
	newForger(t, dir).rechain()
	report, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key})
	if err != nil || report.Unsigned() != 1 {
		t.Errorf("got %+v (%v), want one unsigned line", report, err)
	}
	if code, out := runScript(t, verifyScript, dir, key); code != 0 ||
		!strings.Contains(out, ", 1 of them not signed yet, ") {
		t.Errorf("got exit code %d and %q, want 0 and that one is not signed", code, out)
	}
}

func TestScriptSaysThatSignaturesAreNotChecked(t *testing.T) {
	t.Parallel()
	dir, key := goldenCopy(t, "one-day")
	edit(t, dir, "checkpoint", func(b []byte) []byte {
		return bytes.Replace(b, []byte("time 2026"), []byte("time 2027"), 1)
	})
	without := "import runpy, sys; sys.modules['cryptography'] = None; sys.argv = sys.argv[1:]; " +
		"runpy.run_path(sys.argv[0], run_name='__main__')"
	code, out := runScript(t, "-c", without, verifyScript, dir, key)
	if code != 0 || !strings.HasPrefix(out, "signatures NOT checked (no cryptography)") {
		t.Errorf("got exit code %d and %q, want 0 and that signatures were not checked", code, out)
	}
	if code, out := runScript(t, verifyScript, dir, key); code != 1 {
		t.Errorf("with cryptography: got exit code %d and %q, want 1", code, out)
	}
}

// scriptFlips is scriptDriver for a folder of which every so many bytes are
// flipped, one at a time; it prints those that the script does not notice.
const scriptFlips = `
import pathlib, runpy, sys
verify = runpy.run_path(sys.argv[1])["verify"]
step, flips = int(sys.argv[3]), 0
for path in sorted(pathlib.Path(sys.argv[2]).iterdir()):
    data = bytearray(path.read_bytes())
    for i in range(0, 0 if ".torn-" in path.name else len(data), step):
        data[i] ^= 1
        path.write_bytes(data)
        data[i] ^= 1
        flips += 1
        try:
            print(path.name, "byte", i, "flipped:", verify(sys.argv[2]))
        except ValueError:
            pass
    path.write_bytes(data)
verify(sys.argv[2])
print(flips, "flips")
`

func TestScriptFindsFlippedBytes(t *testing.T) {
	t.Parallel()
	dir, _ := goldenCopy(t, "rotated") // the script's own time: some bytes must do
	code, out := runScript(t, "-c", scriptFlips, verifyScript, dir, "19")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != 0 || len(lines) != 1 {
		t.Errorf("got exit code %d and\n%s\nwant only the number of flips", code, out)
	}
}
