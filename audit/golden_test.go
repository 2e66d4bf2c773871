package audit_test

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tollbook/audit"
)

var update = flag.Bool("update", false, "make the golden trails anew")

const goldenFolder = "testdata/golden"

// goldenTrails says what the report of each golden trail must be; what is left
// out is compared elsewhere, or random.
var goldenTrails = map[string]struct {
	report  audit.Report
	reasons []string // of system and refused records, in their order
}{
	"one-day": {
		audit.Report{Files: 1, Records: 11, Checkpoints: 2},
		[]string{"day", "start", "token_expired", "summary", "stop"},
	},
	"three-days": {
		audit.Report{Files: 3, Records: 19, Checkpoints: 4},
		[]string{"day", "start", "day", "recovery", "start", "day", "stop"},
	},
	"rotated": {
		audit.Report{Files: 2, Records: 13, Checkpoints: 5},
		[]string{"day", "start", "stop", "start", "key_rotated", "stop", "day", "start", "stop"},
	},
	"truncated-fields": {
		audit.Report{Files: 1, Records: 5, Checkpoints: 2}, []string{"day", "start", "stop"},
	},
	"unknown-field": {
		audit.Report{Files: 1, Records: 5, Checkpoints: 2}, []string{"day", "start", "stop"},
	},
}

// golden returns the folder of a golden trail, which nobody may change, and the
// verifier key to hold it against.
func golden(t *testing.T, name string) (dir, key string) {
	t.Helper()
	dir = filepath.Join(goldenFolder, name)
	return dir, strings.TrimSuffix(string(read(t, dir+".key")), "\n")
}

// goldenCopy returns a copy of a golden trail to change, and its key.
func goldenCopy(t *testing.T, name string) (dir, key string) {
	t.Helper()
	dir, key = golden(t, name)
	return copyDir(t, dir), key
}

// TestGoldenTrails reads trails that were written once: whatever changes in how
// they are written, those that exist must stay good.
//
//	go test ./audit -run TestGolden -update
//
// makes them anew. What a later version writes is another trail beside these.
func TestGoldenTrails(t *testing.T) {
	if *update {
		updateGolden(t)
	}
	for name, want := range goldenTrails {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, key := golden(t, name)
			got, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key})
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			w := want.report
			if got.Files != w.Files || got.Records != w.Records || got.Checkpoints != w.Checkpoints ||
				got.Signed != w.Records || got.Partial() || got.SelfAttested || len(got.Open) > 0 {
				t.Errorf("got %+v, want %+v", got, w)
			}
			if reasons := goldenReasons(records(t, dir)); !slices.Equal(reasons, want.reasons) {
				t.Errorf("got the reasons %q, want %q", reasons, want.reasons)
			}
		})
	}
}

func goldenReasons(all []*audit.Record) []string {
	var reasons []string
	for _, r := range all {
		if r.Reason != "" {
			reasons = append(reasons, r.Reason)
		}
	}
	return reasons
}

// updateGolden replaces the golden trails and their keys. What signed them is
// kept nowhere.
func updateGolden(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(goldenMakers)) {
		from, to := filepath.Join(t.TempDir(), name), filepath.Join(goldenFolder, name)
		goldenMakers[name](t, from)
		key := keyOf(t, from)
		_ = os.Remove(filepath.Join(from, "signing.key")) // not there if another key signed
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		write(t, to+".key", []byte(key+"\n"))
	}
}

func TestGoldenTrailsHoldNoPrivateKey(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(goldenFolder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(d.Name(), "signing.key") || bytes.Contains(read(t, path), []byte("PRIVATE+KEY")) {
			t.Errorf("%s holds a private key", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestGoldenLinesAreWrittenAgainToTheByte(t *testing.T) {
	t.Parallel()
	unknown := 0
	for name := range goldenTrails {
		dir, _ := golden(t, name)
		for _, path := range dayFiles(t, dir) {
			for line := range bytes.Lines(read(t, path)) {
				r, err := audit.Parse(bytes.TrimSuffix(line, []byte("\n")))
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				unknown += len(r.Unknown)
				if again := append(audit.AppendRecord(nil, r), '\n'); len(r.Unknown) == 0 && !bytes.Equal(again, line) {
					t.Errorf("%s: got\n%s\nwant\n%s", path, again, line)
				}
			}
		}
	}
	if unknown != 1 {
		t.Errorf("got %d unknown fields, want the one of unknown-field", unknown)
	}
}

func TestGoldenCheckpointsAreWrittenAgainToTheByte(t *testing.T) {
	t.Parallel()
	for name := range goldenTrails {
		dir, _ := golden(t, name)
		for _, note := range goldenNotes(t, dir) {
			text, _, _ := strings.Cut(note, "\n\n")
			c, err := audit.ParseCheckpoint(text + "\n")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if again := c.Text(); again != text+"\n" {
				t.Errorf("%s: got\n%s\nwant\n%s", name, again, text)
			}
		}
	}
}

// goldenNotes returns the signed checkpoints of the histories, in order.
func goldenNotes(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "checkpoints_*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	var notes []string
	for _, name := range names {
		parts := strings.Split(strings.TrimSuffix(string(read(t, name)), "\n"), "\n\n")
		for i := 0; i+1 < len(parts); i += 2 {
			notes = append(notes, parts[i]+"\n\n"+parts[i+1]+"\n")
		}
	}
	return notes
}

// What was hostile in the request comes back from the trail byte for byte.
func TestGoldenHostileRequestComesBack(t *testing.T) {
	t.Parallel()
	dir, _ := golden(t, "one-day")
	all := where(records(t, dir), func(r *audit.Record) bool {
		return r.RequestID == "req-hostile" && r.Phase == audit.Received
	})
	if len(all) != 1 {
		t.Fatalf("got %d records of the request, want 1", len(all))
	}
	got, want := all[0], goldenHostile()
	if got.Path != want.Path || got.Query != want.Query || got.UserAgent != want.UserAgent ||
		got.ClientRequestID != want.ClientRequestID {
		t.Errorf("got %q, %q, %q, %q, want %q, %q, %q, %q", got.Path, got.Query, got.UserAgent,
			got.ClientRequestID, want.Path, want.Query, want.UserAgent, want.ClientRequestID)
	}
	outer, _ := got.Metadata.Get("fields")
	if v := original(t, outer.Object(), "job\n\x1b[2J"); v != "\xc0\xaf\ufeff" {
		t.Errorf("got %q in metadata, want %q", v, "\xc0\xaf\ufeff")
	}
}

func TestGoldenCutsTellOfTheWhole(t *testing.T) {
	t.Parallel()
	dir, _ := golden(t, "truncated-fields")
	path, name := "/"+strings.Repeat("\xff", 20<<10), strings.Repeat("é", 20<<10)
	want := []audit.Cut{
		{Field: "http_path", Bytes: int64(len(path)), SHA256: audit.HashLine([]byte(path))},
		{Field: "metadata.filename", Bytes: int64(len(name)), SHA256: audit.HashLine([]byte(name))},
	}
	for _, r := range where(records(t, dir), func(r *audit.Record) bool { return r.Phase != audit.System }) {
		if !reflect.DeepEqual(r.Truncated, want) {
			t.Errorf("seq %d: got %v, want %v", r.Seq, r.Truncated, want)
		}
	}
}
