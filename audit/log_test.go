package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

func TestWhatBeginAndEndReturnedForIsInTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	x := tr.begin("r1")
	received := where(records(t, dir), phase(audit.Received))
	if len(received) != 1 || received[0].RequestID != "r1" || received[0].Seq != x.Seq() {
		t.Fatalf("got %+v after Begin, want r1's record with seq %d", received, x.Seq())
	}
	tr.end(x)
	completed := where(records(t, dir), phase(audit.Completed))
	if len(completed) != 1 || completed[0].ReceivedSeq != x.Seq() || completed[0].Path != "/jobs/r1" {
		t.Fatalf("got %+v after End, want one that closes seq %d", completed, x.Seq())
	}
}

// The order of the calls to the disk is what the promise rests on.
func TestLinesAreFsyncedBeforeBeginReturns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		durability audit.Durability
		want       string
	}{{audit.Fsync, "write fsync begun "}, {audit.OS, "write begun "}} {
		disk := new(disk)
		tr := start(t, t.TempDir(), disk.under, func(cfg *audit.Config) { cfg.Durability = c.durability })
		disk.note("|")
		tr.begin("r1")
		disk.note("begun ")
		if _, got, _ := strings.Cut(disk.calls(), "|"); got != c.want {
			t.Errorf("durability %d: got %q, want %q", c.durability, got, c.want)
		}
	}
}

func TestAFolderIsFsyncedAfterANewFile(t *testing.T) {
	t.Parallel()
	disk, clock := new(disk), newClock(noon)
	tr := start(t, t.TempDir(), disk.under, at(clock), inOS)
	// The key and a checkpoint of nothing come first, a checkpoint of all last.
	const seal = "cp-write cp-fsync cp-close "
	if want := seal + seal + "folder folder write fsync folder " + seal; disk.calls() != want {
		t.Errorf("got %q at the first start, want %q", disk.calls(), want)
	}
	disk.note("|")
	tr.begin("r1")
	clock.Add(24 * time.Hour)
	tr.begin("r2")
	// The old file is made durable and sealed before the new one exists, and the
	// checkpoint has its name for good before the history has it.
	want := "write fsync " + seal + "folder " + seal + "folder cut close write fsync folder "
	if _, got, _ := strings.Cut(disk.calls(), "|"); got != want {
		t.Errorf("got %q over midnight", got)
	}
}

func TestDurabilityOSFsyncsOnceASecond(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under, inOS)
	tr.begin("r1")
	disk.note("|")
	tr.tick()
	tr.tick()
	if _, got, _ := strings.Cut(disk.calls(), "|"); got != "fsync cp-write cp-fsync cp-close " {
		t.Errorf("got %q on two ticks after one write, want one fsync and one checkpoint", got)
	}
}

func TestManyWritersShareOneChain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	const writers, each = 32, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				x, err := tr.Begin(t.Context(), request(fmt.Sprintf("r%d-%d", w, i)))
				if err != nil {
					t.Errorf("Begin: %v", err)
					return
				}
				if err := x.End(audit.Result{Outcome: audit.OK}); err != nil {
					t.Errorf("End: %v", err)
				}
			}
		})
	}
	wg.Wait()
	tr.stop()
	report := verify(t, dir)
	if want := int64(2*writers*each + 3); report.Records != want || len(report.Open) != 0 {
		t.Errorf("got %d records and %v open, want %d and none", report.Records, report.Open, want)
	}
	seen := make(map[string]int64)
	for _, r := range where(records(t, dir), phase(audit.Received)) {
		seen[r.RequestID] = r.Seq
	}
	for _, r := range where(records(t, dir), phase(audit.Completed)) {
		if seen[r.RequestID] != r.ReceivedSeq {
			t.Errorf("%s closes seq %d, want %d", r.RequestID, r.ReceivedSeq, seen[r.RequestID])
		}
	}
	if len(seen) != writers*each {
		t.Errorf("got %d requests, want %d", len(seen), writers*each)
	}
}

func TestWhatQueuedDuringACommitIsTheNext(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under)
	disk.hold()
	first := tr.submit("r0")
	<-disk.held
	var rest []audit.Pending
	for i := range 50 {
		rest = append(rest, tr.submit("r"+strconv.Itoa(i+1)))
	}
	disk.note("|")
	disk.release()
	for _, p := range append(rest, first) {
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, got, _ := strings.Cut(disk.calls(), "|"); got != "fsync write fsync " {
		t.Errorf("got %q, want the rest of one commit and one more for all 50", got)
	}
}

func (tr *trail) submit(id string) audit.Pending {
	tr.t.Helper()
	p, err := tr.Submit(request(id))
	if err != nil {
		tr.t.Fatalf("Submit %s: %v", id, err)
	}
	return p
}

func TestTheChainGoesOnOverRunsAndDays(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock("2026-02-28T23:59:59Z")
	for range 2 {
		tr := start(t, dir, at(clock))
		stopClock := make(chan struct{})
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 20 {
					x, err := tr.Begin(context.Background(), request(fmt.Sprintf("r%d-%d", w, i)))
					if err == nil {
						err = x.End(audit.Result{Outcome: audit.OK})
					}
					if err != nil {
						t.Errorf("request: %v", err)
					}
				}
			})
		}
		wg.Go(func() {
			defer close(stopClock)
			for range 4 { // over two midnights under load
				tr.begin("clock")
				clock.Add(12 * time.Hour)
			}
		})
		wg.Wait()
		<-stopClock
		tr.stop()
	}
	report := verify(t, dir)
	if report.Files < 4 || report.FirstSeq != 1 {
		t.Errorf("got %d files from seq %d, want at least 4 from 1", report.Files, report.FirstSeq)
	}
	for _, name := range dayFiles(t, dir) {
		for i, r := range recordsOf(t, name) {
			if day := "audit_" + r.Timestamp.Format("20060102") + ".jsonl"; day != filepath.Base(name) {
				t.Errorf("%s: line %d is of %s", filepath.Base(name), i+1, day)
			}
			if isDay := r.Reason == "day"; isDay != (i == 0) {
				t.Errorf("%s: line %d: day record %v", filepath.Base(name), i+1, isDay)
			}
		}
	}
	if boots := where(records(t, dir), reason("start")); len(boots) != 2 ||
		boots[0].BootID == boots[1].BootID || boots[0].LogID != boots[1].LogID {
		t.Errorf("got %d starts, want two of one log with boots of their own", len(boots))
	}
}

func recordsOf(t *testing.T, name string) []*audit.Record {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, filepath.Base(name)), read(t, name))
	return records(t, dir)
}

func TestAClockThatStepsBackDoesNotGoBackToAnOlderFile(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock("2026-03-01T00:00:01Z")
	tr := start(t, dir, at(clock))
	clock.Add(-time.Hour)
	tr.end(tr.begin("r1"))
	tr.stop()
	tr = start(t, dir, at(clock)) // a new run does not either
	tr.end(tr.begin("r2"))
	tr.stop()
	if files := dayFiles(t, dir); len(files) != 1 || filepath.Base(files[0]) != "audit_20260301.jsonl" {
		t.Errorf("got %v, want audit_20260301.jsonl alone", files)
	}
	verify(t, dir)
}

func TestALogCanBeginAtTheEpoch(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock("1970-01-01T00:00:00Z")
	start(t, dir, at(clock)).stop()
	start(t, dir, at(clock)).stop()
	verify(t, dir)
}

func TestADayBeginsWithTheRequestsThatAreOpen(t *testing.T) {
	t.Parallel()
	for _, open := range []int{0, 3, audit.MaxOpenSeqs, audit.MaxOpenSeqs + 1} {
		dir, clock := t.TempDir(), newClock(noon)
		tr := start(t, dir, at(clock), inOS)
		exchanges := tr.beginMany(open)
		head := tr.Head()
		clock.Add(24 * time.Hour)
		tr.end(tr.begin("tomorrow"))
		days := where(recordsOf(t, newest(t, dir)), reason("day"))
		parts := max(1, (open+audit.MaxOpenSeqs-1)/audit.MaxOpenSeqs)
		if len(days) != parts {
			t.Fatalf("%d open: got %d day records, want %d", open, len(days), parts)
		}
		seqs := make(map[int64]bool)
		for i, d := range days {
			list, _ := d.Metadata.Get("open")
			for _, v := range list.Values() {
				n, _ := v.Int64()
				seqs[n] = true
			}
			before, _ := d.Metadata.Get("file_before")
			if name, _ := before.Str(); name != "audit_20260301.jsonl" {
				t.Errorf("file_before is %q", name)
			}
			size, _ := d.Metadata.Get("tree_size")
			if n, _ := size.Int64(); n != head.Seq {
				t.Errorf("part %d: tree_size is %d, want the lines before (%d)", i+1, n, head.Seq)
			}
		}
		for _, x := range exchanges {
			if !seqs[x.Seq()] {
				t.Errorf("%d open: seq %d is not named", open, x.Seq())
			}
		}
		if len(seqs) != open {
			t.Errorf("got %d seqs, want %d", len(seqs), open)
		}
		for _, x := range exchanges {
			tr.end(x)
		}
		tr.stop()
		if report := verify(t, dir); len(report.Open) != 0 {
			t.Errorf("%d open: Verify reports %v", open, report.Open)
		}
	}
}

// beginMany has n requests open at once.
func (tr *trail) beginMany(n int) []*audit.Exchange {
	all := make([]*audit.Exchange, n)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				x, err := tr.Begin(context.Background(), request("r"+strconv.Itoa(i)))
				if err != nil {
					tr.t.Errorf("Begin: %v", err)
				}
				all[i] = x
			}
		})
	}
	wg.Wait()
	if tr.t.Failed() {
		tr.t.FailNow()
	}
	return all
}

func TestASecondWriterIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	_, err := open(t, dir)
	refused(t, err, dir, "in use by another process")
	tr.stop()
	start(t, dir).stop()
	verify(t, dir)
}

func TestARunThatEndsWellSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir, func(cfg *audit.Config) {
		cfg.Start = audit.Object{{Name: "version", Value: audit.String("v1")}}
	})
	if err := tr.Record(t.Context(), "keys_changed", nil); err != nil {
		t.Fatal(err)
	}
	tr.stop()
	var got []string
	for _, r := range records(t, dir) {
		got = append(got, r.Reason)
	}
	if want := []string{"day", "start", "keys_changed", "stop"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	version, _ := where(records(t, dir), reason("start"))[0].Metadata.Get("version")
	if v, _ := version.Str(); v != "v1" {
		t.Errorf("got version %q in the start record, want v1", v)
	}
	if last := records(t, dir)[3]; last.Seq != tr.Head().Seq || last.LogID != tr.ID() {
		t.Errorf("got Head %v and ID %s, want those of the last record", tr.Head(), tr.ID())
	}
	if size := len(read(t, newest(t, dir))); size > 8<<10 {
		t.Errorf("the closed file has %d bytes: room that was preallocated", size)
	}
}

func TestBeginWithACancelledContextLeavesNoOpenRequest(t *testing.T) {
	t.Parallel()
	dir, cause := t.TempDir(), errors.New("the client left")
	tr := start(t, dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for i := range 50 {
		x, err := tr.Begin(ctx, request("r"+strconv.Itoa(i)))
		if err == nil {
			tr.end(x) // it was on disk before anybody looked
		} else if !errors.Is(err, cause) {
			t.Errorf("got %v, want the context's cause", err)
		}
	}
	tr.stop()
	if report := verify(t, dir); len(report.Open) != 0 {
		t.Errorf("got %v open, want none", report.Open)
	}
}

func TestAClosedLogTakesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	x := tr.begin("r1")
	tr.stop()
	if err := tr.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	before := contents(t, dir)
	_, err := tr.Begin(t.Context(), request("r2"))
	for what, err := range map[string]error{
		"Begin": err, "End": x.End(audit.Result{Outcome: audit.OK}),
		"Record": tr.Record(t.Context(), "keys_changed", nil), "Err": tr.Err(),
	} {
		if !errors.Is(err, audit.ErrClosed) || !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrClosed", what, err)
		}
	}
	tr.Refuse(request("r3"))
	if !reflect.DeepEqual(contents(t, dir), before) {
		t.Error("the folder changed after Close")
	}
}

func TestOnlyTheFirstEndCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	x := tr.begin("r1")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := x.End(audit.Result{Outcome: audit.OK}); err != nil {
				t.Errorf("End: %v", err)
			}
		})
	}
	wg.Wait()
	tr.stop()
	verify(t, dir)
	if n := len(where(records(t, dir), phase(audit.Completed))); n != 1 {
		t.Errorf("got %d completed records, want 1", n)
	}
}

// A line that no reader takes would be damage at the next start.
func TestWhatTheCallerGetsWrongNeverReachesTheTrail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	x, err := tr.Begin(t.Context(), &audit.Record{
		Outcome: audit.OK, ReceivedSeq: 1, Derived: true, Phase: audit.System, Seq: 99,
		Truncated: []audit.Cut{{Field: "x"}}, Attributable: "somebody",
		Metadata: audit.Object{{Name: "a"}, {Name: "a"}, {Name: "\xff"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	unavailable(t, x.End(audit.Result{}))
	tr.Refuse(&audit.Record{Outcome: audit.OK})
	tr.stop()
	verify(t, dir)
	start(t, dir).stop()
	verify(t, dir)
}

func TestOpenNeedsAPath(t *testing.T) {
	t.Parallel()
	_, err := audit.Open(audit.Config{})
	refused(t, err, "no path")
}

func TestFilesAndFoldersAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	start(t, dir).stop()
	for path, want := range map[string]os.FileMode{
		filepath.Dir(dir): os.ModeDir | 0o700, dir: os.ModeDir | 0o700, newest(t, dir): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: got %v (%v), want %v", path, info.Mode(), err, want)
		}
	}
}
