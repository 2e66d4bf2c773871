package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

func clockSteps(t *testing.T, dir string) []*audit.Record {
	t.Helper()
	return where(records(t, dir), reason("clock_step"))
}

func TestAClockThatIsSetLeavesOneRecordBeforeTheNext(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{
		time.Second, -time.Second, time.Hour, -time.Hour, -72 * time.Hour, 10 * 366 * 24 * time.Hour,
	} {
		for _, idle := range []bool{false, true} {
			tr := start(t, t.TempDir())
			tr.end(tr.begin("before"))
			tr.clock.Add(time.Minute)
			expected := tr.clock.Now()
			tr.clock.Set(by)
			if idle {
				tr.tick()
			}
			tr.end(tr.begin("after"))
			tr.stop()
			verify(t, tr.Dir)
			steps := clockSteps(t, tr.Dir)
			if len(steps) != 1 {
				t.Fatalf("%s: got %d records, want 1", by, len(steps))
			}
			const layout = "2006-01-02T15:04:05.000000Z"
			want := audit.Object{
				{Name: "expected", Value: audit.String(expected.Format(layout))},
				{Name: "found", Value: audit.String(expected.Add(by).Format(layout))},
				{Name: "step_us", Value: audit.Int(by.Microseconds())},
			}
			if !reflect.DeepEqual(steps[0].Metadata, want) {
				t.Errorf("%s: got %v, want %v", by, steps[0].Metadata, want)
			}
			for _, r := range where(records(t, tr.Dir), phase(audit.Received)) {
				if (r.RequestID == "after") != (r.Seq > steps[0].Seq) {
					t.Errorf("%s: %s stands on the wrong side of the step", by, r.RequestID)
				}
			}
		}
	}
}

func TestTimeThatPassesLeavesNoRecord(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir())
	for _, by := range []time.Duration{time.Second, time.Hour, 72 * time.Hour} {
		tr.clock.Add(by)
		tr.tick()
		tr.end(tr.begin("r"))
	}
	tr.clock.Set(999 * time.Millisecond) // what is less than a second is no step
	tr.tick()
	tr.stop()
	if n := len(clockSteps(t, tr.Dir)); n != 0 {
		t.Errorf("got %d clock_step records, want none", n)
	}
	verify(t, tr.Dir)
}

func TestAClockThatIsSetBackBetweenTwoRunsLeavesARecord(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-time.Second, -72 * time.Hour} {
		dir, clock := t.TempDir(), newClock(noon)
		start(t, dir, at(clock)).stop()
		clock.Add(by)
		start(t, dir, at(clock)).stop()
		verify(t, dir)
		steps := clockSteps(t, dir)
		if len(steps) != 1 {
			t.Fatalf("%s: got %d records, want 1", by, len(steps))
		}
		if got, _ := steps[0].Metadata.Get("step_us"); !reflect.DeepEqual(got, audit.Int(by.Microseconds())) {
			t.Errorf("got %v, want %s", got, by)
		}
		if n := len(dayFiles(t, dir)); n != 1 {
			t.Errorf("got %d day files, want the one", n)
		}
	}
}

// The day of writing does not go back: neither within a run, whether it wrote in
// the new day or not, nor over a start.
func TestAClockThatIsSetBackOverMidnightBringsNoDayBack(t *testing.T) {
	t.Parallel()
	for _, idle := range []bool{false, true} {
		dir, clock := t.TempDir(), newClock("2026-03-01T23:59:59Z")
		tr := start(t, dir, at(clock))
		tr.end(tr.begin("today"))
		clock.Add(time.Minute)
		if idle {
			for range audit.NoteTicks {
				tr.ticks <- time.Time{}
			}
			tr.tick()
		} else {
			tr.end(tr.begin("tomorrow"))
		}
		before := copyDir(t, dir) // idle: only the history has gone on
		clock.Set(-2 * time.Minute)
		tr.tick()
		tr.end(tr.begin("back"))
		killed := copyDir(t, dir)
		tr.stop()
		for _, left := range []string{dir, killed, before} {
			start(t, left, at(clock)).stop()
			verify(t, left)
			files := dayFiles(t, left)
			if len(files) != 2 || filepath.Base(files[1]) != "audit_20260302.jsonl" {
				t.Errorf("idle %v: got %v, want two days", idle, files)
			}
			for _, r := range recordsOf(t, files[0]) {
				if r.RequestID == "back" {
					t.Errorf("idle %v: a record went back to the day before", idle)
				}
			}
		}
	}
}

func TestNoLineIsLostWhileTheClockIsSetUnderLoad(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir(), inOS)
	const writers, each = 8, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				x, err := tr.Begin(t.Context(), request(fmt.Sprintf("r%d-%d", w, i)))
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
		for i := range 20 {
			tr.clock.Set([]time.Duration{13 * time.Hour, -5 * time.Hour}[i%2])
			tr.ticks <- time.Time{}
		}
	})
	wg.Wait()
	tr.stop()
	verify(t, tr.Dir)
	if n := len(where(records(t, tr.Dir), phase(audit.Completed))); n != writers*each {
		t.Errorf("got %d completed, want %d", n, writers*each)
	}
	if n := len(dayFiles(t, tr.Dir)); n < 3 {
		t.Errorf("got %d days, want 3 or more", n)
	}
}

// What a run wrote and no checkpoint covers is written again, also when its last
// record is a stop: its fsync may have failed.
func TestWhatNoCheckpointCoversIsWrittenAgainAtStart(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir(), inOS)
	before := copyDir(t, tr.Dir)
	tr.end(tr.begin("r1"))
	tr.stop()
	dir := copyDir(t, tr.Dir)
	for _, name := range []string{"checkpoint", historyName} { // as they were before the stop
		if data, err := os.ReadFile(filepath.Join(before, name)); err == nil {
			write(t, filepath.Join(dir, name), data)
		} else if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Unix(1e9, 0)
	if err := os.Chtimes(newest(t, dir), long, long); err != nil {
		t.Fatal(err)
	}
	var opened time.Time // when it was written before it was opened for appending
	start(t, dir, func(cfg *audit.Config) {
		*cfg = audit.WithWrap(*cfg, func(name string, f audit.File) audit.File {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && name == filepath.Base(newest(t, dir)) {
				opened = info.ModTime()
			}
			return f
		})
	}).stop()
	if opened.Equal(long) {
		t.Error("the end was not written again")
	}
	verify(t, dir)
}

// A first start that died before its first line has named a day already.
func TestAClockThatIsSetBackBeforeTheFirstLineIsNoDamage(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	var first, second []string
	start(t, dir, at(clock), steps(t, dir, &first)).stop()
	clock.Add(-24 * time.Hour)
	for _, left := range first {
		all := contents(t, left)
		if _, begun := all["signing.key"]; !begun || len(dayFiles(t, left)) > 0 {
			continue
		}
		start(t, left, at(clock), steps(t, left, &second)).stop()
		for i, again := range second {
			tr, err := open(t, again, at(clock))
			if err != nil {
				t.Fatalf("step %d: %v", i, err)
			}
			tr.stop()
			verify(t, again)
		}
		return
	}
	t.Fatal("the first start did not pass through a log without lines")
}
