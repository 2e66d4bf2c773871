package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// threeDays returns a folder with a good trail of three days and two runs.
func threeDays(t *testing.T) string {
	t.Helper()
	dir, clock := t.TempDir(), newClock(noon)
	for range 2 {
		tr := start(t, dir, at(clock), inOS)
		over := tr.begin("over")
		tr.end(tr.begin("r1"))
		clock.Add(24 * time.Hour)
		tr.end(over)
		tr.end(tr.begin("\xff\n"))
		tr.stop()
	}
	return dir
}

// keyOf returns the verifier key that the trail names.
func keyOf(t *testing.T, dir string) string {
	t.Helper()
	key, _ := records(t, dir)[0].Metadata.Get("verifier_key")
	name, _ := key.Str()
	return name
}

// bad fails the test unless Verify finds the trail bad, and returns where.
func bad(t *testing.T, what, dir string) *audit.VerifyError {
	t.Helper()
	_, err := audit.Verify(context.Background(), dir, audit.VerifyConfig{})
	var at *audit.VerifyError
	if !errors.As(err, &at) {
		t.Errorf("%s: got %v, want a VerifyError", what, err)
		return &audit.VerifyError{}
	}
	return at
}

func TestAGoodTrailIsReported(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	all := records(t, dir)
	var size int64
	for _, name := range dayFiles(t, dir) {
		size += int64(len(read(t, name)))
	}
	last := read(t, newest(t, dir))
	last = last[bytes.LastIndexByte(last[:len(last)-1], '\n')+1 : len(last)-1]
	want := &audit.Report{
		LogID: all[0].LogID, Files: 3, Records: int64(len(all)), Bytes: size, FirstSeq: 1,
		Head: audit.Head{Seq: int64(len(all)), Hash: audit.HashLine(last)},
		From: all[0].Timestamp, To: all[len(all)-1].Timestamp,
		Runs: 2, Checkpoints: 5, Signed: int64(len(all)), SelfAttested: true, Key: keyOf(t, dir),
	}
	before := contents(t, dir)
	if got := verify(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !reflect.DeepEqual(contents(t, dir), before) {
		t.Error("Verify changed the folder")
	}
}

func TestEveryLineDeletedDoubledOrSwappedIsFound(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	files := dayFiles(t, dir)
	for f, name := range files {
		data := read(t, name)
		lines := bytes.SplitAfter(data, []byte("\n"))
		lines = lines[:len(lines)-1]
		for i := range lines {
			what := filepath.Base(name) + " line " + strconv.Itoa(i+1)
			firstOfAll := f == 0 && i == 0
			head, tail := bytes.Join(lines[:i], nil), bytes.Join(lines[i+1:], nil)
			join := func(middle ...[]byte) []byte {
				return bytes.Join([][]byte{head, bytes.Join(middle, nil), tail}, nil)
			}
			write(t, name, join())
			_ = bad(t, what+" deleted", dir)
			write(t, name, join(lines[i], lines[i]))
			if at := bad(t, what+" doubled", dir); at.Line != int64(i+2) || at.File != filepath.Base(name) {
				t.Errorf("%s doubled: found in %s line %d", what, at.File, at.Line)
			}
			if i > 0 {
				write(t, name, bytes.Join(append(append([][]byte{}, lines[:i-1]...),
					append([][]byte{lines[i], lines[i-1]}, lines[i+1:]...)...), nil))
				if at := bad(t, what+" swapped", dir); at.Line != int64(i) {
					t.Errorf("%s swapped: found in line %d, want %d", what, at.Line, i)
				}
			}
			if !firstOfAll {
				write(t, name, join(bytes.Replace(lines[i], []byte(`"v":1`), []byte(`"v":2`), 1)))
				if at := bad(t, what+" of another version", dir); at.Line != int64(i+1) {
					t.Errorf("%s of another version: found in line %d", what, at.Line)
				}
			}
		}
		write(t, name, data)
	}
	verify(t, dir)
}

func TestADayThatIsMissingIsFound(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	files := dayFiles(t, dir)
	middle := read(t, files[1])
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	if at := bad(t, "middle day", dir); at.File != filepath.Base(files[2]) || at.Line != 1 {
		t.Errorf("found in %s line %d, want line 1 of the day after", at.File, at.Line)
	}
	write(t, files[1], nil)
	if at := bad(t, "middle day emptied", dir); at.File != filepath.Base(files[1]) {
		t.Errorf("found in %s, want the empty file", at.File)
	}
	write(t, files[1], middle)
	verify(t, dir)
	if err := os.Rename(files[0], filepath.Join(t.TempDir(), "moved")); err != nil {
		t.Fatal(err)
	}
	if report := verify(t, dir); !report.Partial() || report.FirstSeq == 1 || report.Files != 2 {
		t.Errorf("got %+v, want a partial log of two files", report)
	}
}

func TestRecordsOfALaterDayAreFound(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	files := dayFiles(t, dir)
	if err := os.Rename(files[2], filepath.Join(dir, "audit_20260302a.jsonl")); err != nil {
		t.Fatal(err)
	}
	older := filepath.Join(dir, "audit_20260228.jsonl")
	if err := os.Rename(files[0], older); err != nil {
		t.Fatal(err)
	}
	if at := bad(t, "renamed day", dir); at.File != filepath.Base(older) || at.Line != 1 {
		t.Errorf("found in %s line %d, want line 1 of the renamed file", at.File, at.Line)
	}
}

func TestNoTrailIsNeverGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for what, name := range map[string]string{
		"an empty folder": "", "other files": "checkpoint", "a name that is no date": "audit_20261399.jsonl",
	} {
		if name != "" {
			write(t, filepath.Join(dir, name), []byte("x"))
		}
		if _, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{}); !errors.Is(err, audit.ErrNoTrail) {
			t.Errorf("%s: got %v, want ErrNoTrail", what, err)
		}
	}
	if _, err := audit.Verify(t.Context(), filepath.Join(dir, "missing"), audit.VerifyConfig{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing folder: got %v, want ErrNotExist", err)
	}
	write(t, filepath.Join(dir, "audit_20260301.jsonl"), nil)
	_ = bad(t, "an empty day file", dir)
	write(t, filepath.Join(dir, "audit_20260301.jsonl"), bytes.Repeat([]byte("x"), 5*audit.MaxLine))
	_ = bad(t, "a day file without a line", dir)
}

func TestALiveFolderMayEndWithinALine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	x := tr.begin("r1")
	data := read(t, newest(t, dir))
	if err := appendTo(newest(t, dir), `{"timestamp":`); err != nil {
		t.Fatal(err)
	}
	report := verify(t, dir)
	if !report.Unfinished || !reflect.DeepEqual(report.Open, []int64{x.Seq()}) {
		t.Errorf("got %+v, want it unfinished with seq %d open", report, x.Seq())
	}
	dead := copyDir(t, dir)
	if at := bad(t, "nobody writes", dead); at.Line != int64(bytes.Count(data, []byte("\n"))+1) {
		t.Errorf("found in line %d, want the one without end", at.Line)
	}
}

func TestARequestThatAnEarlierRunLeftOpenIsFound(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	if report := verify(t, dir); len(report.Open) != 2 {
		t.Errorf("got %v open in the last run, want two and no error", report.Open)
	}
	start(t, dir).stop()
	name := newest(t, dir)
	all := recordsOf(t, name)
	// The same trail, as a writer would have left it that closes nothing.
	write(t, name, forge(where(all, func(r *audit.Record) bool { return r.Phase != audit.Interrupted })))
	at := bad(t, "left open", dir)
	if !strings.Contains(at.Error(), "left seq") {
		t.Errorf("got %v, want one that names the seq left open", at)
	}
}

func TestARequestThatTheNewestRunHasNotClosedIsNamedBySeqAlone(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	name := newest(t, dir)
	all := recordsOf(t, name)
	other := *where(all, reason("start"))[0]
	other.BootID, other.Reason = strings.Repeat("0", 32), "keys_changed"
	write(t, name, forge(append(all, &other)))
	at := bad(t, "not closed", dir)
	if at.File != "" || at.Line != 0 || at.Seq == 0 {
		t.Errorf("got file %q, line %d, seq %d, want a seq alone", at.File, at.Line, at.Seq)
	}
	if want := "audit: seq " + strconv.FormatInt(at.Seq, 10) + ": "; !strings.HasPrefix(at.Error(), want) {
		t.Errorf("got %q, want it to begin with %q", at, want)
	}
}

// forge writes the records as the lines of a chain of their own.
func forge(all []*audit.Record) []byte {
	var lines []byte
	var head audit.Head
	for _, r := range all {
		r.Seq, r.PrevHash = head.Seq+1, head.Hash
		line := audit.AppendRecord(nil, r)
		head = audit.Head{Seq: r.Seq, Hash: audit.HashLine(line)}
		lines = append(append(lines, line...), '\n')
	}
	return lines
}

func TestARequestThatIsClosedTwiceIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	tr.end(tr.begin("r1"))
	tr.stop()
	all := records(t, dir)
	again := *all[3]
	write(t, newest(t, dir), forge(append(all[:4:4], &again)))
	if at := bad(t, "closed twice", dir); at.Line != 5 || !strings.Contains(at.Error(), "not open") {
		t.Errorf("got %v, want line 5, which closes what is not open", at)
	}
}

// Its prev_hash is right: only the seq tells that a line is missing.
func TestAGapInTheSeqIsFound(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	all := records(t, dir)
	last := all[len(all)-1]
	last.Seq++
	name := newest(t, dir)
	if err := dropLastLine(t, name); err != nil {
		t.Fatal(err)
	}
	if err := appendTo(name, string(audit.AppendRecord(nil, last))+"\n"); err != nil {
		t.Fatal(err)
	}
	if at := bad(t, "gap", dir); at.Seq != last.Seq-1 {
		t.Errorf("got seq %d, want the one that the line should have (%d)", at.Seq, last.Seq-1)
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir, inOS)
	tr.beginMany(1100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.Verify(ctx, dir, audit.VerifyConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
