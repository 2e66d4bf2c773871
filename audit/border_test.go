package audit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollbook/audit"
)

func TestAFirstStartThatDiedIsRepairedTheDayAfter(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", `{"timestamp":`} {
		dir, clock := t.TempDir(), newClock(noon)
		if err := unbegun(t, dir); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "audit_20260301.jsonl"), []byte(bad))
		clock.Add(24 * time.Hour)
		start(t, dir, at(clock)).stop()
		if report := verify(t, dir); report.FirstSeq != 1 {
			t.Errorf("got first seq %d, want 1", report.FirstSeq)
		}
	}
}

func TestAKeyNamedAfterAnotherLogIsNotThisOnes(t *testing.T) {
	t.Parallel()
	shared := audit.NewSigningKey() // one key may sign for many logs
	mine, other := start(t, t.TempDir(), withKey(shared)), start(t, t.TempDir(), withKey(shared))
	mine.stop()
	other.stop()
	for key, good := range map[string]bool{
		mine.VerifierKey(): true, shared.VerifierKey(): true, other.VerifierKey(): false,
	} {
		_, err := audit.Verify(t.Context(), mine.Dir, audit.VerifyConfig{Key: key})
		if (err == nil) != good {
			t.Errorf("%s: got %v, want good: %v", key, err, good)
		}
	}
}

// manyNotes makes the newest history long by what stands in it last.
func manyNotes(t *testing.T, dir string) (path string, size int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "checkpoints_*.txt"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got %v, %v, want one history", names, err)
	}
	note := read(t, names[0])
	long := bytes.TrimSuffix(bytes.Repeat(append(note, '\n'), 500), []byte("\n"))
	write(t, names[0], long)
	return names[0], len(long)
}

func TestAStartReadsOnlyTheEndOfALongHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir).stop()
	path, size := manyNotes(t, dir)
	if err := appendTo(path, "\ntollbook/torn"); err != nil {
		t.Fatal(err)
	}
	start(t, dir).stop()
	verify(t, dir)
	if n := len(where(records(t, dir), reason("recovery"))); n != 1 {
		t.Errorf("got %d recovery records, want one of the torn note", n)
	}
	if got := read(t, path); !bytes.HasPrefix(got[size:], []byte("\ntollbook/")) {
		t.Errorf("the history goes on with %.40q, want the next note", got[size:])
	}
}

func TestADayWithoutRoomLeavesNoFileWhenTheLogIsClosed(t *testing.T) {
	t.Parallel()
	disk, dir, clock := new(disk), t.TempDir(), newClock(noon)
	tr := start(t, dir, disk.under, at(clock))
	tr.end(tr.begin("r1"))
	disk.fail("write", fault{err: syscall.ENOSPC})
	clock.Add(24 * time.Hour)
	tr.beginInVain()
	_ = tr.Close()
	report, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{})
	if err != nil {
		t.Errorf("got %v (%+v), want a good trail", err, report)
	}
	start(t, dir, at(clock)).stop()
	verify(t, dir)
}

func TestInDurabilityOSNoMoreIsUnsyncedThanCanBeTorn(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under, inOS)
	big := request("big")
	big.UserAgent = strings.Repeat("x", 30<<10)
	disk.note("|")
	for range 200 { // 6 MB
		if _, err := tr.Begin(t.Context(), big); err != nil {
			t.Fatal(err)
		}
	}
	if _, got, _ := strings.Cut(disk.calls(), "|"); !strings.Contains(got, "fsync") {
		t.Error("got no fsync, want one every 4 MiB")
	}
}

func TestATrailVerifiesFromBeforeARotationWithTheNewKey(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	start(t, dir, at(clock)).stop()
	from := read(t, filepath.Join(dir, "checkpoint"))
	clock.Add(24 * time.Hour)
	start(t, dir, at(clock)).stop()
	_, to := rotate(t, configOf(dir, clock), audit.SigningKey{})
	if err := os.Remove(filepath.Join(dir, "audit_20260301.jsonl")); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{From: from, Key: to}); err != nil {
		t.Errorf("got %v, want a good trail", err)
	}
	other := start(t, t.TempDir())
	other.stop()
	_, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{From: from, Key: other.VerifierKey()})
	refused(t, err, "another log")
}

// A kill leaves lines that only the next start signs: how many is told.
func TestLinesThatOnlyTheNextStartSignedAreCounted(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	unsigned := int64(len(records(t, dir))) - 2 // Open signs the first two
	start(t, dir).stop()
	if report := verify(t, dir); report.Adopted != unsigned || report.Unclean != 1 {
		t.Errorf("got %d adopted, %d unclean, want %d and 1", report.Adopted, report.Unclean, unsigned)
	}
}

// chained returns a line that follows the last of the newest file.
func chained(t *testing.T, dir string, change func(*audit.Record)) string {
	t.Helper()
	all := records(t, dir)
	last, data := all[len(all)-1], bytes.TrimSuffix(read(t, newest(t, dir)), []byte("\n"))
	r := *last
	r.Seq, r.PrevHash = last.Seq+1, audit.HashLine(data[bytes.LastIndexByte(data, '\n')+1:])
	change(&r)
	return string(audit.AppendRecord(nil, &r)) + "\n"
}

func TestWhatSomebodyWroteAtTheEndOfAStoppedLogIsRefused(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	start(t, base).stop()
	for what, change := range map[string]func(data []byte, dir string) []byte{
		"a record of the run that stopped": func(data []byte, dir string) []byte {
			return append(data, chained(t, dir, func(r *audit.Record) { r.Reason = "keys_changed" })...)
		},
		"another last line": func(data []byte, _ string) []byte {
			at := bytes.LastIndex(data, []byte(`"boot_id":"`)) + len(`"boot_id":"`)
			return append(append(data[:at:at], bytes.Repeat([]byte("0"), 32)...), data[at+32:]...)
		},
		"a day record of another key": func(data []byte, dir string) []byte {
			path := filepath.Join(dir, "audit_20260302.jsonl")
			write(t, path, []byte(chained(t, dir, func(r *audit.Record) {
				r.BootID, r.Reason = strings.Repeat("0", 32), "day"
				r.Metadata = audit.Object{
					{Name: "file_before", Value: audit.String("audit_20260301.jsonl")},
					{Name: "open", Value: audit.List()},
					{Name: "part", Value: audit.Int(1)},
					{Name: "parts", Value: audit.Int(1)},
					{Name: "tree_size", Value: audit.Int(r.Seq - 1)},
					{Name: "verifier_key", Value: audit.String(audit.NewSigningKey().VerifierKey())},
				}
			})))
			return data
		},
	} {
		dir := copyDir(t, base)
		path := filepath.Join(dir, "audit_20260301.jsonl")
		write(t, path, change(read(t, path), dir))
		if _, err := open(t, dir); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: got %v, want a refused start", what, err)
		}
	}
}

func TestTheLastNoteOfTheHistoryIsWrittenAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir).stop()
	names, err := filepath.Glob(filepath.Join(dir, "checkpoints_*.txt"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got %v, %v, want one history", names, err)
	}
	before, old := read(t, names[0]), time.Unix(1e9, 0)
	if err := os.Chtimes(names[0], old, old); err != nil {
		t.Fatal(err)
	}
	start(t, dir) // it writes no note itself
	info, err := os.Stat(names[0])
	if err != nil || !info.ModTime().After(old) || !bytes.Equal(read(t, names[0]), before) {
		t.Errorf("got a history of %v, %v, want the same bytes written again", info.ModTime(), err)
	}
}

func TestACheckpointOfMoreLinesThanThereCanBeIsRefused(t *testing.T) {
	t.Parallel()
	c := *someCheckpoint()
	c.Size, c.Edge = 1<<62+1, make([]audit.Hash, 2)
	if _, err := audit.ParseCheckpoint(audit.Rooted(c).Text()); err == nil {
		t.Error("got no error")
	}
}

func TestEvidenceThatWasAlteredIsFoundAndOneThatIsGoneIsCounted(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	if err := appendTo(newest(t, dir), "half a line"); err != nil {
		t.Fatal(err)
	}
	start(t, dir).stop()
	if report := verify(t, dir); report.Repairs != 1 || report.EvidenceMissing != 0 {
		t.Errorf("got %+v, want one repair and its evidence", report)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.torn-*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("got %v, %v, want one piece of evidence", names, err)
	}
	write(t, names[0], []byte("half a lie!"))
	if at := bad(t, "altered evidence", dir); !strings.Contains(at.Error(), filepath.Base(names[0])) {
		t.Errorf("got %v, want it to name the evidence", at)
	}
	if err := os.Remove(names[0]); err != nil {
		t.Fatal(err)
	}
	if report := verify(t, dir); report.EvidenceMissing != 1 {
		t.Errorf("got %+v, want the missing evidence counted", report)
	}
}

// A repair that dies between the cut and its record leaves evidence of which no
// record tells: the next start does.
func TestARepairThatDiedBeforeItToldIsToldOfByTheNext(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	name := newest(t, dir)
	data := read(t, name)
	torn := name + ".torn-" + strconv.Itoa(len(data))
	write(t, torn, []byte("half a line"))
	for range 2 { // and only once
		start(t, dir).stop()
		verify(t, dir)
		tells := where(records(t, dir), reason("recovery"))
		if len(tells) != 1 || text(tells[0].Metadata, "evidence") != filepath.Base(torn) {
			t.Errorf("got %v, want one record that names %s", tells, filepath.Base(torn))
		}
	}
}
