package audit_test

import (
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

// told collects the checkpoints that OnCheckpoint gets.
func told(notes *[]string) func(*audit.Config) {
	return func(cfg *audit.Config) {
		cfg.OnCheckpoint = func(note string) { *notes = append(*notes, note) }
	}
}

// sizeOf returns how many lines a signed checkpoint covers.
func sizeOf(t *testing.T, note string) int64 {
	t.Helper()
	text, _, _ := strings.Cut(note, "\n\n")
	c, err := audit.ParseCheckpoint(text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return c.Size
}

// histories returns what the folder's files of checkpoints hold, by day.
func histories(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := contents(t, dir)
	for name := range all {
		if !strings.HasPrefix(name, "checkpoints_") {
			delete(all, name)
		}
	}
	return all
}

func TestTheCheckpointIsReplacedAtATickIfRecordsCame(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir())
	path := filepath.Join(tr.Dir, "checkpoint")
	first := string(read(t, path))
	if sizeOf(t, first) != tr.Head().Seq {
		t.Errorf("got %d lines at start, want %d", sizeOf(t, first), tr.Head().Seq)
	}
	tr.tick()
	tr.begin("r1")
	if got := string(read(t, path)); got != first {
		t.Error("it was replaced without a tick, or without a record")
	}
	tr.tick()
	if got := sizeOf(t, string(read(t, path))); got != tr.Head().Seq {
		t.Errorf("got %d lines after the tick, want %d", got, tr.Head().Seq)
	}
	if len(histories(t, tr.Dir)) != 0 {
		t.Error("there is a history before the first minute")
	}
}

func TestTheHistoryGrowsOnceAMinuteAtMidnightAndAtTheEnd(t *testing.T) {
	t.Parallel()
	var notes []string
	tr := start(t, t.TempDir(), told(&notes))
	minute := func(want int) {
		t.Helper()
		for range audit.NoteTicks {
			tr.ticks <- time.Time{}
		}
		tr.clock.Add(time.Minute)
		if err := tr.Record(t.Context(), "keys_changed", nil); err != nil { // the tick is over
			t.Fatal(err)
		}
		if len(notes) != want {
			t.Fatalf("got %d notes, want %d", len(notes), want)
		}
	}
	minute(1)
	minute(2) // a record came
	tr.clock.Add(24 * time.Hour)
	tr.tick() // an idle tick over midnight
	if len(notes) != 3 || sizeOf(t, notes[2]) != tr.Head().Seq {
		t.Fatalf("got %d notes after an idle midnight, want one of all lines more", len(notes))
	}
	before := tr.Head().Seq
	tr.clock.Add(24 * time.Hour)
	tr.end(tr.begin("r1")) // a record over midnight
	if len(notes) != 4 || sizeOf(t, notes[3]) != before {
		t.Fatalf("got %d notes after a midnight, want one of the lines before more", len(notes))
	}
	tr.stop()
	if len(notes) != 5 || sizeOf(t, notes[4]) != tr.Head().Seq {
		t.Fatalf("got %d notes after the end, want one of all lines more", len(notes))
	}
	want := map[string]string{
		"checkpoints_20260301.txt": notes[0] + "\n" + notes[1] + "\n" + notes[2],
		"checkpoints_20260302.txt": notes[3],
		"checkpoints_20260303.txt": notes[4],
	}
	if got := histories(t, tr.Dir); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	verify(t, tr.Dir)
}

// What stands in the history is durable as the newest checkpoint before, and what
// that covers is durable before it.
func TestACheckpointCoversOnlyWhatTheDiskHas(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under, inOS)
	for range audit.NoteTicks - 1 {
		tr.ticks <- time.Time{}
	}
	tr.begin("r1")
	disk.note("|")
	tr.ticks <- time.Time{}
	tr.begin("r2")
	const seal = "cp-write cp-fsync cp-close "
	want := "fsync " + seal + "folder " + seal + "folder write "
	if _, got, _ := strings.Cut(disk.calls(), "|"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestACheckpointThatFindsNoRoomIsWaitedFor(t *testing.T) {
	t.Parallel()
	for what, at := range map[string]int{"checkpoint.tmp": 0, "history": 1} {
		disk := new(disk)
		tr := start(t, t.TempDir(), disk.under)
		open := tr.begin("open")
		for range audit.NoteTicks - 1 {
			tr.ticks <- time.Time{}
		}
		tr.begin("between")
		disk.fail("cp-write", fault{err: syscall.ENOSPC, part: 50, at: at})
		tr.tick()
		if err := tr.Err(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%s: got %v, want ENOSPC", what, err)
		}
		_, err := tr.Begin(t.Context(), request("r1"))
		unavailable(t, err)
		size := len(read(t, newest(t, tr.Dir)))
		for range 20 {
			tr.tick()
		}
		if got := len(read(t, newest(t, tr.Dir))); got != size {
			t.Errorf("%s: the file grew by %d bytes while there was no room", what, got-size)
		}
		disk.holdAt("cp-write") // while it tries again
		select {
		case tr.ticks <- time.Time{}:
			<-disk.held
		case <-disk.held: // the tick before does
		}
		killed := copyDir(t, tr.Dir)
		disk.release()
		disk.heal()
		tr.tick()
		if err := tr.Err(); err != nil {
			t.Fatalf("%s: got %v with room, want none", what, err)
		}
		tr.end(open)
		tr.stop()
		for _, dir := range []string{tr.Dir, killed} {
			start(t, dir).stop()
			verify(t, dir)
		}
		if n := len(where(records(t, tr.Dir), reason("fault"))); n != 1 {
			t.Errorf("%s: got %d fault records, want 1", what, n)
		}
	}
}

func TestAnFsyncOfACheckpointThatFailsIsTheEnd(t *testing.T) {
	t.Parallel()
	for what, f := range map[string]struct {
		call string
		at   int
	}{"checkpoint.tmp": {"cp-fsync", 0}, "history": {"cp-fsync", 1}, "folder": {"folder", 0}, "new name": {"folder", 1}} {
		disk := new(disk)
		tr := start(t, t.TempDir(), disk.under)
		for range audit.NoteTicks - 1 {
			tr.ticks <- time.Time{}
		}
		if err := tr.Record(t.Context(), "keys_changed", nil); err != nil {
			t.Fatal(err)
		}
		disk.fail(f.call, fault{err: syscall.EIO, at: f.at})
		tr.ticks <- time.Time{}
		poisoned(t, tr)
		disk.note("|")
		disk.heal()
		if err := tr.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: got %v, want EIO", what, err)
		}
		if _, got, _ := strings.Cut(disk.calls(), "|"); got != "close " {
			t.Errorf("%s: got %q after the failure, want nothing", what, got)
		}
		start(t, tr.Dir).stop()
		verify(t, tr.Dir)
	}
}

// A day that ends while the disk is full is sealed before the next begins.
func TestADayThatEndsWithoutRoomIsSealedFirst(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under)
	open := tr.begin("open")
	disk.fail("cp-write", fault{err: syscall.ENOSPC})
	tr.clock.Add(24 * time.Hour)
	tr.beginInVain()
	if n := len(dayFiles(t, tr.Dir)); n != 1 {
		t.Errorf("got %d day files, want the old one", n)
	}
	disk.heal()
	tr.tick()
	tr.end(open)
	tr.stop()
	verify(t, tr.Dir)
	if _, err := os.Stat(filepath.Join(tr.Dir, historyName)); err != nil {
		t.Errorf("the day's history is missing: %v", err)
	}
}
