package audit_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollbook/audit"
)

// historyName is that of the day on which a test's clock begins.
const historyName = "checkpoints_20260301.txt"

const (
	notesKept = 6
	lastNote  = notesKept - 1
)

// withHistory returns a killed log's folder whose history has notesKept notes.
func withHistory(t *testing.T) (dir string, notes []string) {
	t.Helper()
	var told []string
	tr := start(t, t.TempDir(), inOS, func(cfg *audit.Config) {
		cfg.OnCheckpoint = func(note string) { told = append(told, note) }
	})
	for range notesKept {
		tr.end(tr.begin("r"))
		for range audit.NoteTicks {
			tr.ticks <- time.Time{}
		}
		tr.tick()
	}
	dir = copyDir(t, tr.Dir)
	notes = told[:notesKept:notesKept]
	tr.stop()
	return dir, notes
}

func TestTheHistoryIsTheNotesWithEmptyLinesBetween(t *testing.T) {
	t.Parallel()
	dir, notes := withHistory(t)
	if got := string(read(t, filepath.Join(dir, historyName))); got != strings.Join(notes, "\n") {
		t.Errorf("got %q, want the notes %q", got, notes)
	}
}

func TestAHistoryCutAtAnyByteOfItsLastNoteIsRepaired(t *testing.T) {
	t.Parallel()
	base, notes := withHistory(t)
	data := read(t, filepath.Join(base, historyName))
	good := len(data) - len(notes[lastNote]) - 1
	step := 7
	if testing.Short() {
		step = 53
	}
	for size := good; size <= len(data); size += step {
		dir := copyDir(t, base)
		write(t, filepath.Join(dir, historyName), data[:size])
		start(t, dir).stop()
		repaired(t, historyName, dir, historyName, good, data[good:size])
	}
	cut := len(notes[lastNote]) - 40 // within the signature
	for what, bad := range map[string]string{
		"NULs in the signature": "\n" + notes[lastNote][:cut] + strings.Repeat("\x00", 39) + "\n",
		"NULs":                  strings.Repeat("\x00", len(notes[lastNote])), "an empty line": "\n\n", "garbage": "\ngarbage\n\n— x\n",
	} {
		dir := copyDir(t, base)
		write(t, filepath.Join(dir, historyName), []byte(string(data[:good])+bad))
		start(t, dir).stop()
		if n := len(where(records(t, dir), reason("recovery"))); n != 1 {
			t.Errorf("%s: got %d recovery records, want 1", what, n)
		}
		verify(t, dir)
	}
}

func TestTheFirstNoteOfADayMayBeTornWhereverItEnds(t *testing.T) {
	t.Parallel()
	c := audit.Rooted(audit.Checkpoint{
		LogID: strings.Repeat("a", 32), Size: 1<<40 - 1, File: "audit_20260301.jsonl", Edge: make([]audit.Hash, 40),
	})
	dir, key := t.TempDir(), audit.NewSigningKey()
	msg := audit.Sign(c, key, audit.NewSigningKey())
	for size := range msg {
		write(t, filepath.Join(dir, historyName), msg[:size])
		if _, err := audit.TornHistory(dir, historyName, c); err != nil {
			t.Fatalf("torn at %d of %d: %v", size, len(msg), err)
		}
	}
	write(t, filepath.Join(dir, historyName), bytes.Repeat([]byte("x"), 3*len(msg)))
	_, err := audit.TornHistory(dir, historyName, c)
	refused(t, err, historyName, "more than a torn checkpoint")
}

func TestAHistoryThatIsDamagedOrAheadIsRefused(t *testing.T) {
	t.Parallel()
	base, notes := withHistory(t)
	data := string(read(t, filepath.Join(base, historyName)))
	other, _ := withHistory(t)
	for what, c := range map[string]struct {
		history string
		words   []string
	}{
		"damaged in the middle": {strings.Replace(data, "time 2026", "time 2O26", 1), []string{"byte 0", "more than a torn"}},
		"of another log": {
			string(read(t, filepath.Join(other, historyName))), []string{"the last checkpoint"},
		},
		"a forged last note": {
			strings.Join(notes[:lastNote], "\n") + "\n" + strings.Replace(notes[lastNote], ":00Z", ":01Z", 1),
			[]string{"the last checkpoint", "signature"},
		},
	} {
		dir := copyDir(t, base)
		write(t, filepath.Join(dir, historyName), []byte(c.history))
		before := contents(t, dir)
		_, err := open(t, dir)
		refused(t, err, append(c.words, historyName)...)
		if !reflect.DeepEqual(contents(t, dir), before) {
			t.Errorf("%s: the folder was changed", what)
		}
	}
	dir := copyDir(t, base) // the newest checkpoint is put back by one
	write(t, filepath.Join(dir, "checkpoint"), []byte(notes[lastNote-1]))
	_, err := open(t, dir)
	refused(t, err, historyName, "put back")
}

func TestAHistoryThatAnotherTouchedIsTheEnd(t *testing.T) {
	t.Parallel()
	for what, touch := range map[string]func(path string) error{
		"removed":  os.Remove,
		"cut":      func(path string) error { return os.Truncate(path, 10) },
		"appended": func(path string) error { return appendTo(path, "x") },
		"linked":   func(path string) error { return os.Link(path, path+".link") },
	} {
		tr := start(t, t.TempDir(), inOS)
		for range audit.NoteTicks + 1 {
			tr.ticks <- time.Time{}
		}
		if err := touch(filepath.Join(tr.Dir, historyName)); err != nil {
			t.Fatal(err)
		}
		for range audit.NoteTicks {
			select {
			case tr.ticks <- time.Time{}:
			case <-tr.Failed():
			}
		}
		if poisoned(t, tr); !strings.Contains(tr.Err().Error(), historyName) {
			t.Errorf("%s: got %v, want the file named", what, tr.Err())
		}
	}
}

// A checkpoint that was removed is not missed: the next takes its place.
func TestACheckpointThatWasRemovedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir(), inOS)
	if err := os.Remove(filepath.Join(tr.Dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	tr.begin("r1")
	tr.tick()
	verify(t, tr.Dir)
}

// The folder is fsynced once the history's file has its first note, also where
// there was no room for that note at first.
func TestAHistoryWhoseFirstNoteFoundNoRoomIsMadeDurable(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under)
	for range audit.NoteTicks - 1 {
		tr.ticks <- time.Time{}
	}
	disk.fail("cp-write", fault{err: syscall.ENOSPC, part: 5, at: 1}) // the note, behind checkpoint.tmp
	tr.tick()
	if err := tr.Err(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want ENOSPC", err)
	}
	disk.heal()
	disk.note("|")
	tr.tick()
	const seal = "cp-write cp-fsync cp-close "
	if _, got, _ := strings.Cut(disk.calls(), "|"); !strings.HasPrefix(got, seal+"folder "+seal+"folder ") {
		t.Errorf("got %q, want the folder fsynced behind the note", got)
	}
}
