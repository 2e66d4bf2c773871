package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollbook/audit"
)

// killed returns a copy of a log's folder as a kill leaves it, with two requests
// open.
func killed(t *testing.T) (dir string) {
	t.Helper()
	tr := start(t, t.TempDir(), inOS)
	tr.end(tr.begin("closed"))
	tr.begin("open1")
	tr.begin("open2")
	tr.end(tr.begin("last"))
	dir = copyDir(t, tr.Dir)
	tr.stop()
	return dir
}

// interruptedIDs counts the interrupted records by request.
func interruptedIDs(t *testing.T, dir string) map[string]int {
	t.Helper()
	ids := make(map[string]int)
	for _, r := range where(records(t, dir), phase(audit.Interrupted)) {
		ids[r.RequestID]++
		if !r.Derived || r.UserID != "user_1" || r.Path != "/jobs/"+r.RequestID {
			t.Errorf("got %+v, want a derived record that repeats what was asked", r)
		}
	}
	return ids
}

func TestARunThatWasKilledIsClosedByTheNext(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	for range 3 { // only the first has something to close
		start(t, dir, inOS).stop()
		if report := verify(t, dir); len(report.Open) != 0 {
			t.Errorf("got %v open, want none", report.Open)
		}
		want := map[string]int{"open1": 1, "open2": 1}
		if got := interruptedIDs(t, dir); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v interrupted, want %v", got, want)
		}
	}
	if n := len(where(records(t, dir), reason("recovery"))); n != 0 {
		t.Errorf("got %d recovery records though nothing was torn", n)
	}
}

func torn(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := contents(t, dir)
	for name := range all {
		if !strings.Contains(name, ".torn-") {
			delete(all, name)
		}
	}
	return all
}

// repaired checks all that must hold after a start that cut the bytes bad at the
// offset good.
func repaired(t *testing.T, what, dir, name string, good int, bad []byte) {
	t.Helper()
	if report := verify(t, dir); len(report.Open) != 0 {
		t.Errorf("%s: got %v open, want none", what, report.Open)
	}
	evidence := torn(t, dir)
	file := filepath.Base(name) + ".torn-" + strconv.Itoa(good)
	tells := where(records(t, dir), reason("recovery"))
	if len(bad) == 0 {
		if len(evidence)+len(tells) != 0 {
			t.Errorf("%s: got %d pieces of evidence and %d records, want none", what, len(evidence), len(tells))
		}
		return
	}
	if len(evidence) != 1 || evidence[file] != string(bad) {
		t.Fatalf("%s: got evidence %q, want %q in %s", what, evidence, bad, file)
	}
	if len(tells) != 1 {
		t.Fatalf("%s: got %d recovery records, want 1", what, len(tells))
	}
	digest := sha256.Sum256(bad)
	for key, want := range map[string]audit.Value{
		"file": audit.String(filepath.Base(name)), "offset": audit.Int(int64(good)),
		"cut_bytes": audit.Int(int64(len(bad))), "evidence": audit.String(file),
		"sha256": audit.String(hex.EncodeToString(digest[:])),
	} {
		if got, _ := tells[0].Metadata.Get(key); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s: got %v, want %v", what, key, got, want)
		}
	}
}

func TestAnEndCutAtAnyByteIsRepaired(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir(), inOS)
	tr.begin("open")
	tr.end(tr.begin("last"))
	name := filepath.Base(newest(t, tr.Dir))
	data := read(t, newest(t, tr.Dir))
	from := len(data)
	for range 3 {
		from = bytes.LastIndexByte(data[:from-1], '\n') + 1
	}
	step := 1
	if testing.Short() {
		step = 16
	}
	base := copyDir(t, tr.Dir)
	for half, size := range []int{from, (from + len(data)) / 2} {
		to := []int{(from + len(data)) / 2, len(data) + 1}[half]
		t.Run(strconv.Itoa(half), func(t *testing.T) {
			t.Parallel()
			for ; size < to; size += step {
				cutAt(t, base, name, data[:size])
			}
		})
	}
}

// cutAt starts on a file of these bytes and checks that all that is cut is the
// line without end, and that each request is closed once.
func cutAt(t *testing.T, base, name string, data []byte) {
	t.Helper()
	dir := copyDir(t, base)
	good := bytes.LastIndexByte(data, '\n') + 1
	write(t, filepath.Join(dir, name), data[:good])
	open := where(records(t, dir), phase(audit.Received))
	write(t, filepath.Join(dir, name), data)
	start(t, dir, inOS).stop()
	what := "cut at " + strconv.Itoa(len(data))
	repaired(t, what, dir, name, good, data[good:])
	closed := make(map[int64]int)
	for _, r := range records(t, dir) {
		closed[r.ReceivedSeq]++
	}
	for _, r := range open {
		if closed[r.Seq] != 1 {
			t.Errorf("%s: %s is closed %d times, want once", what, r.RequestID, closed[r.Seq])
		}
	}
}

func TestGarbageAtTheEndIsCutAndKept(t *testing.T) {
	t.Parallel()
	for what, bad := range map[string]string{
		"NULs":                 strings.Repeat("\x00", 4096),
		"one NUL":              "\x00",
		"garbage":              "\xff\xfe{}",
		"garbage with lines":   "a\nb\nc\n",
		"empty lines":          "\n\n",
		"NULs, then a line":    strings.Repeat("\x00", 100) + "\n",
		"half a line, NULs":    `{"timestamp":"2026` + strings.Repeat("\x00", 2000),
		"longer than a line":   strings.Repeat("x", 2*audit.MaxLine),
		"8 MiB":                strings.Repeat("x", 8<<20),
		"a record, no newline": goldenSmall,
	} {
		dir := killed(t)
		name := newest(t, dir)
		data := read(t, name)
		write(t, name, append(data, bad...))
		start(t, dir, inOS).stop()
		repaired(t, what, dir, name, len(data), []byte(bad))
	}
}

// A page that never reached the disk leaves NULs with whole lines behind them.
func TestALostPageIsCutWithAllThatFollows(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	name := newest(t, dir)
	data := read(t, name)
	page := len(data) / 2 / 512 * 512
	clear(data[page : page+512])
	write(t, name, data)
	good := bytes.LastIndexByte(data[:page], '\n') + 1
	start(t, dir, inOS).stop()
	repaired(t, "lost page", dir, name, good, data[good:])
}

// The newest checkpoint of what killed leaves covers two lines. Behind it, what is
// no line is torn; a line that does not follow is damage.
func TestDamageIsRefusedAndNotTouched(t *testing.T) {
	t.Parallel()
	base := killed(t)
	data := read(t, newest(t, base))
	lines := bytes.SplitAfter(data, []byte("\n"))
	join := func(lines ...[]byte) []byte { return bytes.Join(lines, nil) }
	start, third := len(lines[0])+20, len(lines[0])+len(lines[1])
	user := third + bytes.Index(data[third:], []byte("user_1")) + 5
	put := func(at int, to byte) []byte {
		b := bytes.Clone(data)
		b[at] = to
		return b
	}
	for what, damaged := range map[string][]byte{
		"a flipped byte before the checkpoint": put(start, data[start]^1),
		"a NUL before the checkpoint":          put(start, 0),
		"a newline before the checkpoint":      put(start, '\n'),
		"another user":                         put(user, '2'),
		"cut below the checkpoint":             data[:start],
		"a line deleted":                       join(append([][]byte{lines[0], lines[1]}, lines[3:]...)...),
		"a line doubled":                       join(append([][]byte{lines[0], lines[1], lines[2], lines[2]}, lines[3:]...)...),
		"lines swapped":                        join(append([][]byte{lines[0], lines[1], lines[3], lines[2]}, lines[4:]...)...),
		"a line of another log":                join(data, []byte(goldenSmall+"\n")),
		"too much torn":                        join(data, bytes.Repeat([]byte("x"), 8<<20+1)),
	} {
		dir := copyDir(t, base)
		name := newest(t, dir)
		write(t, name, damaged)
		before := contents(t, dir)
		_, err := open(t, dir)
		refused(t, err, filepath.Base(name), "byte ", "damaged")
		if !reflect.DeepEqual(contents(t, dir), before) {
			t.Errorf("%s: the folder was changed", what)
		}
	}
}

func TestFilesThatAreMissingOrPutBackAreRefused(t *testing.T) {
	t.Parallel()
	clock := newClock(noon)
	tr := start(t, t.TempDir(), at(clock), inOS)
	early := copyDir(t, tr.Dir)
	tr.end(tr.begin("first"))
	clock.Add(24 * time.Hour)
	tr.end(tr.begin("tomorrow"))
	tr.tick()
	base := copyDir(t, tr.Dir)
	tr.stop()
	from := func(dir, name string) func(string) error {
		return func(to string) error {
			return os.WriteFile(filepath.Join(to, name), read(t, filepath.Join(dir, name)), 0o600)
		}
	}
	removed := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	other := start(t, t.TempDir())
	other.stop()
	for what, c := range map[string]struct {
		change func(dir string) error
		words  []string
	}{
		"no newest day":      {removed("audit_20260302.jsonl"), []string{"audit_20260302.jsonl", "missing"}},
		"no checkpoint":      {removed("checkpoint"), []string{"without its checkpoint"}},
		"no key":             {removed("signing.key"), []string{"without its signing.key"}},
		"another key":        {from(other.Dir, "signing.key"), []string{"verify with the key", "not of this log"}},
		"another checkpoint": {from(other.Dir, "checkpoint"), []string{"does not verify"}},
		"an old checkpoint":  {from(early, "checkpoint"), []string{"checkpoints_20260301.txt", "put back"}},
		"an old checkpoint and no history": {func(dir string) error {
			return errors.Join(from(early, "checkpoint")(dir), removed("checkpoints_20260301.txt")(dir))
		}, []string{"goes on behind the newest checkpoint"}},
		"a later day": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "audit_20260304.jsonl"), []byte(goldenSmall+"\n"), 0o600)
		}, []string{"audit_20260304.jsonl"}},
		"all but the key": {func(dir string) error {
			return errors.Join(removed("checkpoint")(dir), removed("checkpoints_20260301.txt")(dir),
				removed("audit_20260301.jsonl")(dir), removed("audit_20260302.jsonl")(dir))
		}, []string{"without its checkpoint"}},
	} {
		dir := copyDir(t, base)
		if err := c.change(dir); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		before := contents(t, dir)
		_, err := open(t, dir, at(clock))
		refused(t, err, c.words...)
		if !reflect.DeepEqual(contents(t, dir), before) {
			t.Errorf("%s: the folder was changed", what)
		}
	}
	start(t, base, at(clock)).stop()
	verify(t, base)
}

// Evidence that is there already, whole or begun, is what a repair leaves that
// died before it cut.
func TestARepairThatDiedIsDoneAgain(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"", "half", "half a line"} {
		dir := killed(t)
		name := newest(t, dir)
		data := read(t, name)
		write(t, name, append(data, "half a line"...))
		write(t, name+".torn-"+strconv.Itoa(len(data)), []byte(kept))
		start(t, dir, inOS).stop()
		repaired(t, "kept "+kept, dir, name, len(data), []byte("half a line"))
	}
}

func TestEvidenceIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	name := newest(t, dir)
	data := read(t, name)
	write(t, name, append(data, "half a line"...))
	first := name + ".torn-" + strconv.Itoa(len(data))
	write(t, first, []byte("another end"))
	start(t, dir, inOS).stop()
	if got := string(read(t, first)); got != "another end" {
		t.Errorf("the first evidence is now %q", got)
	}
	if got := torn(t, dir)[filepath.Base(name)+".2.torn-"+strconv.Itoa(len(data))]; got != "half a line" {
		t.Errorf("got %q as the second evidence, want half a line", got)
	}
	verify(t, dir)
}

// overMidnight returns a folder that was copied right after a day had begun with
// n requests open from the day before.
func overMidnight(t *testing.T, n int) (dir string, clock *clock) {
	t.Helper()
	clock = newClock(noon)
	tr := start(t, t.TempDir(), at(clock), inOS)
	tr.beginMany(n)
	clock.Add(24 * time.Hour)
	tr.end(tr.begin("tomorrow"))
	dir = copyDir(t, tr.Dir)
	tr.stop()
	return dir, clock
}

func TestRequestsOpenOverMidnightAreClosedWithTheirData(t *testing.T) {
	t.Parallel()
	dir, clock := overMidnight(t, 3)
	start(t, dir, at(clock), inOS).stop()
	verify(t, dir)
	want := map[string]int{"r0": 1, "r1": 1, "r2": 1}
	if got := interruptedIDs(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v interrupted, want %v", got, want)
	}
}

func TestRequestsWhoseDayWasMovedAwayAreClosedBySeq(t *testing.T) {
	t.Parallel()
	clock := newClock(noon)
	tr := start(t, t.TempDir(), at(clock), inOS)
	tr.beginMany(3)
	clock.Add(24 * time.Hour)
	tr.end(tr.begin("tomorrow"))
	tr.tick() // a checkpoint in the new day
	dir := copyDir(t, tr.Dir)
	tr.stop()
	if err := os.Remove(dayFiles(t, dir)[0]); err != nil {
		t.Fatal(err)
	}
	if report := verify(t, dir); !report.Partial() || len(report.Open) != 3 {
		t.Errorf("got %+v before the start, want a partial log with 3 open", report)
	}
	start(t, dir, at(clock), inOS).stop()
	if report := verify(t, dir); !report.Partial() || len(report.Open) != 0 {
		t.Errorf("got %+v, want a partial log with none open", report)
	}
	if n := len(where(records(t, dir), phase(audit.Interrupted))); n != 3 {
		t.Errorf("got %d interrupted, want 3", n)
	}
}

func TestARunThatDiedWhileADayBeganIsRepaired(t *testing.T) {
	t.Parallel()
	for _, open := range []int{3, 2*audit.MaxOpenSeqs + 1} {
		base, clock := overMidnight(t, open)
		name := filepath.Base(newest(t, base))
		data := read(t, newest(t, base))
		var ends []int // of the file's lines
		for i, c := range data {
			if c == '\n' {
				ends = append(ends, i+1)
			}
		}
		parts := (open + audit.MaxOpenSeqs - 1) / audit.MaxOpenSeqs
		sizes := []int{
			0, 1, ends[0] - 1, ends[0], ends[0] + 1, ends[parts-1] - 1, ends[parts-1],
			ends[parts-1] + 1, ends[parts],
		}
		if parts > 1 {
			sizes = []int{ends[0], ends[parts-1] - 1}
		}
		for _, size := range sizes {
			dir := copyDir(t, base)
			write(t, filepath.Join(dir, name), data[:size])
			good := 0
			if size >= ends[parts-1] {
				good = bytes.LastIndexByte(data[:size], '\n') + 1
			}
			start(t, dir, at(clock), inOS).stop()
			repaired(t, "day cut at "+strconv.Itoa(size), dir, name, good, data[good:size])
			// The request of the new day is one more if its record is whole.
			want := open
			if size >= ends[parts] {
				want++
			}
			if got := interruptedIDs(t, dir); len(got) != want {
				t.Errorf("%d open, cut at %d: got %d interrupted, want %d", open, size, len(got), want)
			}
		}
	}
}

func TestAnOlderFileThatIsTornOrMissingIsRefused(t *testing.T) {
	t.Parallel()
	base, clock := overMidnight(t, 1)
	for what, c := range map[string]struct {
		newest bool // whether the newest file has its lines
		change func(older string) error
	}{
		"torn":            {true, func(older string) error { return os.Truncate(older, int64(len(read(t, older))-1)) }},
		"a line short":    {true, func(older string) error { return dropLastLine(t, older) }},
		"torn, new empty": {false, func(older string) error { return os.Truncate(older, int64(len(read(t, older))-1)) }},
	} {
		dir := copyDir(t, base)
		if err := c.change(dayFiles(t, dir)[0]); err != nil {
			t.Fatal(err)
		}
		if !c.newest {
			write(t, newest(t, dir), nil)
		}
		before := contents(t, dir)
		if _, err := open(t, dir, at(clock)); err == nil ||
			!strings.Contains(err.Error(), filepath.Base(dayFiles(t, dir)[0])) {
			t.Errorf("%s: got %v, want an error that names the file", what, err)
		}
		if !reflect.DeepEqual(contents(t, dir), before) {
			t.Errorf("%s: the folder was changed", what)
		}
	}
}

func dropLastLine(t *testing.T, name string) error {
	data := read(t, name)
	return os.Truncate(name, int64(bytes.LastIndexByte(data[:len(data)-1], '\n')+1))
}

func TestADayRecordWhoseOtherPartsAndDayBeforeAreGoneIsRefused(t *testing.T) {
	t.Parallel()
	dir, clock := overMidnight(t, audit.MaxOpenSeqs+1)
	if err := os.Remove(dayFiles(t, dir)[0]); err != nil {
		t.Fatal(err)
	}
	data := read(t, newest(t, dir))
	write(t, newest(t, dir), data[:bytes.IndexByte(data, '\n')+1])
	_, err := open(t, dir, at(clock))
	refused(t, err, "audit_20260301.jsonl", "missing")
}

func TestAFirstStartThatDiedBeforeItsFirstLineBeginsAgain(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", `{"timestamp":`} {
		dir := t.TempDir()
		if err := unbegun(t, dir); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "audit_20260301.jsonl")
		write(t, name, []byte(bad))
		start(t, dir).stop()
		repaired(t, "first start", dir, name, 0, []byte(bad))
		if report := verify(t, dir); report.FirstSeq != 1 {
			t.Errorf("got first seq %d, want 1", report.FirstSeq)
		}
	}
}

// An empty file of a day that was never written to is renamed when that day is
// over; the disk was full all the while.
func TestADayWithoutRoomLeavesNoFile(t *testing.T) {
	t.Parallel()
	disk, dir, clock := new(disk), t.TempDir(), newClock(noon)
	tr := start(t, dir, disk.under, at(clock))
	open := tr.begin("r1")
	disk.fail("write", fault{err: syscall.ENOSPC})
	for range 3 {
		clock.Add(24 * time.Hour)
		tr.beginInVain()
		tr.tick()
	}
	disk.heal()
	tr.tick()
	tr.end(open)
	tr.stop()
	verify(t, dir)
	if files := dayFiles(t, dir); len(files) != 2 || filepath.Base(files[1]) != "audit_20260304.jsonl" {
		t.Errorf("got %v, want the first day and the fourth", files)
	}
}

// beginInVain asks for what the full disk refuses.
func (tr *trail) beginInVain() {
	tr.t.Helper()
	_, err := tr.Begin(tr.t.Context(), request("none"))
	unavailable(tr.t, err)
}

func TestAnEmptyDayIsNotRenamedOverAFile(t *testing.T) {
	t.Parallel()
	disk, dir, clock := new(disk), t.TempDir(), newClock(noon)
	tr := start(t, dir, disk.under, at(clock))
	disk.fail("write", fault{err: syscall.ENOSPC})
	clock.Add(24 * time.Hour)
	tr.beginInVain()
	clock.Add(24 * time.Hour)
	theirs := filepath.Join(dir, "audit_20260303.jsonl")
	write(t, theirs, []byte("theirs"))
	tr.ticks <- time.Time{}
	poisoned(t, tr)
	refused(t, tr.Err(), "audit_20260303.jsonl", "exist")
	if got := string(read(t, theirs)); got != "theirs" {
		t.Errorf("got %q in the file that was there, want it untouched", got)
	}
}
