package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// search returns the seqs of what q finds in dir, each with its log in front if
// there are several.
func search(t *testing.T, dir string, q audit.Query) []int64 {
	t.Helper()
	seqs, err := trySearch(t, dir, q)
	if err != nil {
		t.Fatalf("Search: %v", err)
	}
	return seqs
}

func trySearch(t *testing.T, dir string, q audit.Query) (seqs []int64, err error) {
	t.Helper()
	err = audit.Search(t.Context(), dir, q, nil, func(h audit.Hit) error {
		seqs = append(seqs, h.Record.Seq)
		return nil
	})
	return seqs, err
}

func seqsOf(all []*audit.Record) []int64 {
	var seqs []int64
	for _, r := range all {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

// manyKinds writes a trail with records of every kind that a query can tell.
func manyKinds(t *testing.T, dir string) []*audit.Record {
	t.Helper()
	clock := newClock(noon)
	tr := start(t, dir, at(clock))
	acting := request("r2")
	acting.UserID, acting.ActorID, acting.JobID = "user_2", "user_1", "job_2"
	for _, r := range []*audit.Record{request("r1"), acting, request("\xff\x1b\n\u202e")} {
		x, err := tr.Begin(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		clock.Add(12 * time.Hour)
		if r == acting {
			if err := x.End(audit.Result{Outcome: audit.Timeout, JobID: "job_2"}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		tr.end(x)
	}
	tr.Refuse(&audit.Record{EventType: audit.EventAuthFailure, Reason: "token_missing", RequestID: "r4"})
	tr.stop()
	return records(t, dir)
}

func TestSearchFindsWhatAQueryAsksFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all := manyKinds(t, dir)
	third := all[2].Timestamp
	for what, c := range map[string]struct {
		query audit.Query
		want  func(*audit.Record) bool
	}{
		"anything":        {audit.Query{}, func(*audit.Record) bool { return true }},
		"user or actor":   {audit.Query{User: "user_1"}, func(r *audit.Record) bool { return r.UserID == "user_1" || r.ActorID == "user_1" }},
		"user alone":      {audit.Query{User: "user_2"}, func(r *audit.Record) bool { return r.UserID == "user_2" }},
		"job":             {audit.Query{Job: "job_2"}, func(r *audit.Record) bool { return r.JobID == "job_2" }},
		"event":           {audit.Query{Event: "auth_failure"}, func(r *audit.Record) bool { return r.EventType == "auth_failure" }},
		"phase":           {audit.Query{Phase: audit.Completed}, phase(audit.Completed)},
		"outcome":         {audit.Query{Outcome: audit.Timeout}, func(r *audit.Record) bool { return r.Outcome == audit.Timeout }},
		"from, inclusive": {audit.Query{From: third}, func(r *audit.Record) bool { return !r.Timestamp.Before(third) }},
		"to, exclusive":   {audit.Query{To: third}, func(r *audit.Record) bool { return r.Timestamp.Before(third) }},
		"all at once": {
			audit.Query{User: "user_1", Job: "job_2", Event: "status", From: third, Outcome: audit.Timeout, Phase: audit.Completed},
			func(r *audit.Record) bool { return r.Outcome == audit.Timeout },
		},
	} {
		want := seqsOf(where(all, c.want))
		if what != "to, exclusive" && len(want) == 0 {
			t.Fatalf("%s: nothing to find", what)
		}
		if got := search(t, dir, c.query); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	for what, q := range map[string]audit.Query{
		"part of a user": {User: "user"}, "part of a job": {Job: "job_"}, "another event": {Event: "statu"},
		"an hour without any": {From: third.Add(time.Hour), To: third.Add(2 * time.Hour)},
	} {
		if got := search(t, dir, q); got != nil {
			t.Errorf("%s: got %v, want nothing", what, got)
		}
	}
}

func TestSearchGivesTheLinesAsTheyAreOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	manyKinds(t, dir)
	var want, got strings.Builder
	for _, name := range dayFiles(t, dir) {
		want.Write(read(t, name))
	}
	err := audit.Search(t.Context(), dir, audit.Query{}, nil, func(h audit.Hit) error {
		got.Write(append(slices.Clone(h.Line), '\n'))
		return nil
	})
	if err != nil || got.String() != want.String() {
		t.Errorf("got %v and other lines than on disk: %q, want %q", err, got.String(), want.String())
	}
	if !strings.Contains(got.String(), "_b64") {
		t.Error("no text that is no UTF-8 was among them")
	}
}

// The day of writing does not go back with the clock: what was recorded on
// 1 March then lies in the file of 2 March.
func TestRecordsOfAClockThatSteppedBackAreFound(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	tr := start(t, dir, at(clock))
	tr.end(tr.begin("r1"))
	clock.Add(24 * time.Hour)
	tr.end(tr.begin("r2"))
	clock.Add(-23 * time.Hour)
	tr.end(tr.begin("late"))
	tr.stop()
	from := newClock(noon).Now().Add(30 * time.Minute)
	got := search(t, dir, audit.Query{Event: "status", From: from, To: from.Add(time.Hour)})
	want := seqsOf(where(records(t, dir), func(r *audit.Record) bool { return r.RequestID == "late" }))
	if len(want) != 2 || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if files := dayFiles(t, dir); len(files) != 2 {
		t.Errorf("got %d files, want two", len(files))
	}
}

func TestDaysBeforeFromAreNotRead(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	files := dayFiles(t, dir)
	write(t, files[0], []byte("no record\n"))
	second, err := time.Parse("audit_20060102.jsonl", filepath.Base(files[1]))
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []time.Time{second, second.Add(24*time.Hour - 1)} {
		if _, err := trySearch(t, dir, audit.Query{From: from}); err != nil {
			t.Errorf("from %v: got %v, want the first day left alone", from, err)
		}
	}
	_, err = trySearch(t, dir, audit.Query{From: second.Add(-1)})
	refused(t, err, filepath.Base(files[0]), "line 1")
}

func TestALineThatIsNoRecordEndsASearch(t *testing.T) {
	t.Parallel()
	for what, bad := range map[string]string{
		"no JSON": "no record", "an empty line": "", "half a record": `{"timestamp":"2026`,
		"NULs": "\x00\x00", "an endless line": strings.Repeat("x", 5*audit.MaxLine),
	} {
		dir := threeDays(t)
		name := dayFiles(t, dir)[1]
		lines := strings.SplitAfter(string(read(t, name)), "\n")
		lines[2] = bad + "\n"
		write(t, name, []byte(strings.Join(lines, "")))
		got, err := trySearch(t, dir, audit.Query{})
		refused(t, err, filepath.Base(name)+": line 3 ", "audit verify")
		if before := len(recordsOf(t, dayFiles(t, dir)[0])) + 2; len(got) != before {
			t.Errorf("%s: got %d records before it, want %d", what, len(got), before)
		}
		if _, err := trySearch(t, dir, audit.Query{User: "nobody"}); err == nil {
			t.Errorf("%s: got no error from a search that finds nothing", what)
		}
	}
}

func TestOnlyTheNewestFileMayEndWithinALine(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	all := len(records(t, dir))
	if err := appendTo(newest(t, dir), `{"timestamp":"2026`); err != nil {
		t.Fatal(err)
	}
	if got := search(t, dir, audit.Query{}); len(got) != all {
		t.Errorf("got %d records, want %d", len(got), all)
	}
	first := dayFiles(t, dir)[0]
	count := len(recordsOf(t, first))
	if err := appendTo(first, `{"timestamp":"2026`); err != nil {
		t.Fatal(err)
	}
	got, err := trySearch(t, dir, audit.Query{})
	refused(t, err, filepath.Base(first), "ends within a line")
	if len(got) != count {
		t.Errorf("got %d records before it, want %d", len(got), count)
	}
}

func TestASearchReadsWhatIsThereWhenItBegins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	tr.end(tr.begin("r1"))
	found := 0
	err := audit.Search(t.Context(), dir, audit.Query{}, nil, func(audit.Hit) error {
		found++
		tr.end(tr.begin("more"))
		return nil
	})
	if err != nil || found != 4 {
		t.Errorf("got %d records and %v, want the 4 that were there", found, err)
	}
}

func TestAFolderOfLogsIsSearchedLogByLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, pod := range []string{"pod-b", "pod-a"} {
		tr := start(t, filepath.Join(dir, pod))
		tr.end(tr.begin(pod))
		tr.stop()
	}
	for _, other := range []string{"other", "lost+found", "emptied"} {
		if err := os.Mkdir(filepath.Join(dir, other), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "lost+found", "audit_20260301.jsonl"), []byte("no record\n"))
	write(t, filepath.Join(dir, "notes.txt"), []byte("x"))
	write(t, filepath.Join(dir, "other", "notes.txt"), []byte("x"))
	write(t, filepath.Join(dir, "pod-a", "notes.txt"), []byte("x"))
	var got []string
	err := audit.Search(t.Context(), dir, audit.Query{Event: "status"}, nil, func(h audit.Hit) error {
		got = append(got, h.Log+" "+h.Record.RequestID)
		return nil
	})
	want := []string{"pod-a pod-a", "pod-a pod-a", "pod-b pod-b", "pod-b pod-b"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
	logs, err := audit.Logs(dir)
	if err != nil || !slices.Equal(logs, []string{"emptied", "pod-a", "pod-b"}) {
		t.Errorf("Logs: got %q, %v", logs, err)
	}
	if logs, err := audit.Logs(filepath.Join(dir, "pod-a")); err != nil || logs != nil {
		t.Errorf("Logs of one log: got %q, %v, want none", logs, err)
	}
	write(t, newest(t, filepath.Join(dir, "pod-b")), []byte("no record\n"))
	_, err = trySearch(t, dir, audit.Query{})
	refused(t, err, filepath.Join("pod-b", "audit_"), "line 1")
}

func TestALinkToALogIsALogAndABrokenOneAnError(t *testing.T) {
	t.Parallel()
	log, dir := threeDays(t), t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, nil)
	for name, to := range map[string]string{"linked": log, "no-folder": file} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if logs, err := audit.Logs(dir); err != nil || !slices.Equal(logs, []string{"linked"}) {
		t.Errorf("got %q, %v, want the link", logs, err)
	}
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "broken")); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Logs(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a broken link: got %v, want ErrNotExist", err)
	}
}

func TestThereIsNothingToSearchWithoutATrail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := trySearch(t, dir, audit.Query{}); !errors.Is(err, audit.ErrNoTrail) {
		t.Errorf("an empty folder: got %v, want ErrNoTrail", err)
	}
	if _, err := trySearch(t, filepath.Join(dir, "gone"), audit.Query{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got %v, want ErrNotExist", err)
	}
	if _, err := audit.Watch(dir, 1); !errors.Is(err, audit.ErrNoTrail) {
		t.Errorf("watching an empty folder: got %v, want ErrNoTrail", err)
	}
}

func TestASearchTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, inOS).beginMany(1100)
	size := int64(len(read(t, newest(t, dir))))
	var told []int64
	err := audit.Search(t.Context(), dir, audit.Query{}, func(done, total int64) {
		if total != size {
			t.Fatalf("got a total of %d, want %d", total, size)
		}
		told = append(told, done)
	}, func(audit.Hit) error { return nil })
	if err != nil || len(told) == 0 || told[len(told)-1] != size {
		t.Fatalf("got %v, %v, want all %d bytes at the end", told, err, size)
	}
	if most := int(size/audit.ProgressStep) + 1; len(told) < most-1 || len(told) > most || !slices.IsSorted(told) {
		t.Errorf("got %v, want about %d steps upwards", told, most)
	}
}

func TestASearchEndsWithItsContextOrItsCaller(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, inOS).beginMany(1100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := audit.Search(ctx, dir, audit.Query{User: "nobody"}, nil, func(audit.Hit) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	stop := errors.New("stop")
	found := 0
	err = audit.Search(t.Context(), dir, audit.Query{}, nil, func(audit.Hit) error {
		found++
		return stop
	})
	if err != stop || found != 1 { //nolint:errorlint // as it is, not wrapped
		t.Errorf("got %v after %d records, want the caller's error after the first", err, found)
	}
}

func TestASearchChangesNothing(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	before := contents(t, dir)
	search(t, dir, audit.Query{})
	if !reflect.DeepEqual(contents(t, dir), before) {
		t.Error("Search changed the folder")
	}
}
