package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// A watch is a Watcher under test, with what it showed.
type watch struct {
	*audit.Watcher
	t     *testing.T
	lines []string
}

func watchLog(t *testing.T, dir string, n int) *watch {
	t.Helper()
	w, err := audit.Watch(dir, n)
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &watch{Watcher: w, t: t}
}

func (w *watch) tryPoll() error {
	return w.Poll(w.t.Context(), func(h audit.Hit) error {
		w.lines = append(w.lines, string(h.Line)+"\n")
		return nil
	})
}

func (w *watch) poll() {
	w.t.Helper()
	if err := w.tryPoll(); err != nil {
		w.t.Fatalf("Poll: %v", err)
	}
}

// linesOf returns every line of the folder, in order.
func linesOf(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for _, name := range dayFiles(t, dir) {
		all = slices.AppendSeq(all, strings.Lines(string(read(t, name))))
	}
	return all
}

// shown fails the test unless w showed the folder's lines from the given one on.
func (w *watch) shown(dir string, from int) {
	w.t.Helper()
	if want := linesOf(w.t, dir)[from:]; !slices.Equal(w.lines, want) {
		w.t.Errorf("got %d lines, want the %d from line %d on: %q", len(w.lines), len(want), from+1, w.lines)
	}
}

func TestAWatchBeginsWithTheLastRecordsOfAllDays(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	all := len(linesOf(t, dir))
	for n := range all + 3 {
		w := watchLog(t, dir, n)
		w.poll()
		w.shown(dir, max(0, all-n))
		w.poll()
		w.shown(dir, max(0, all-n))
	}
	if err := appendTo(newest(t, dir), `{"timestamp"`); err != nil {
		t.Fatal(err)
	}
	w := watchLog(t, dir, 2)
	w.poll()
	if want := linesOf(t, dir)[all-2 : all]; !slices.Equal(w.lines, want) {
		t.Errorf("before a half line: got %q, want the two lines before it", w.lines)
	}
}

// A folder grows byte by byte, as nothing finer can.
func TestALineIsShownOnceItIsFinished(t *testing.T) {
	t.Parallel()
	from, dir := threeDays(t), t.TempDir()
	var w *watch
	finished := 0
	for _, name := range dayFiles(t, from) {
		to := filepath.Join(dir, filepath.Base(name))
		data := read(t, name)
		for i := range data {
			if data[i] == '\n' {
				finished++
			} else if i%97 != 0 { // not always between two lines
				continue
			}
			write(t, to, data[:i+1])
			if w == nil {
				w = watchLog(t, dir, 0)
			}
			w.poll()
			if len(w.lines) != finished {
				t.Fatalf("%s byte %d: got %d lines, want %d", filepath.Base(name), i, len(w.lines), finished)
			}
		}
	}
	w.shown(dir, 0)
}

func TestAWatchGoesOverMidnight(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	tr := start(t, dir, at(clock))
	w := watchLog(t, dir, 0)
	w.poll()
	begun := len(linesOf(t, dir))
	for i := range 4 {
		x := tr.begin("r" + strconv.Itoa(i))
		if i%2 == 0 {
			w.poll()
		}
		tr.end(x) // the old day's last line, and the new day's, between two looks
		clock.Add(24 * time.Hour)
	}
	tr.end(tr.begin("last"))
	clock.Add(24 * time.Hour)
	tr.tick()
	tr.stop()
	w.poll()
	w.shown(dir, begun)
	if days := len(dayFiles(t, dir)); days < 5 {
		t.Errorf("got %d days, want at least 5", days)
	}
}

func TestAWatchKeepsUpWithAWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir, inOS)
	w := watchLog(t, dir, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tr.beginMany(2000)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		w.poll()
	}
	w.shown(dir, 0)
}

func TestAHalfLineThatIsCutBackIsNoFault(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	name, all := newest(t, dir), len(linesOf(t, dir))
	data := read(t, name)
	w := watchLog(t, dir, 1)
	for _, half := range []string{`{"timestamp":"2026`, `{"time`, ""} {
		write(t, name, append(slices.Clone(data), half...))
		w.poll()
	}
	w.shown(dir, all-1)
}

func TestAWatchEndsWhenTheFileIsNotWhatItWas(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		change func(t *testing.T, dir, name string, data []byte)
		words  []string
	}{
		"cut": {func(t *testing.T, _, name string, data []byte) {
			t.Helper()
			write(t, name, data[:len(data)-1])
		}, []string{"became shorter"}},
		"removed": {func(t *testing.T, _, name string, _ []byte) {
			t.Helper()
			remove(t, name)
		}, []string{"removed or renamed"}},
		"replaced by its copy": {func(t *testing.T, _, name string, data []byte) {
			t.Helper()
			remove(t, name)
			write(t, name+".new", data)
			rename(t, name+".new", name)
		}, []string{"replaced"}},
		"in another folder": {func(t *testing.T, dir, _ string, _ []byte) {
			t.Helper()
			whole := copyDir(t, dir)
			rename(t, dir, dir+"-old")
			rename(t, whole, dir)
		}, []string{"replaced"}},
		"written again with other lines": {func(t *testing.T, _, name string, data []byte) {
			t.Helper()
			write(t, name, append(slices.Clone(data), data...))
		}, []string{"no record that follows", "seq is", "audit verify"}},
		"no record any more": {func(t *testing.T, _, name string, data []byte) {
			t.Helper()
			write(t, name, append(slices.Clone(data), "\x00\n"...))
		}, []string{"no record that follows", "audit verify"}},
		"left with a half line": {func(t *testing.T, dir, name string, data []byte) {
			t.Helper()
			write(t, name, append(slices.Clone(data), '{'))
			write(t, filepath.Join(dir, "audit_20300101.jsonl"), nil)
		}, []string{"ends within a line", "audit_20300101.jsonl was begun"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := threeDays(t)
			w := watchLog(t, dir, 3)
			w.poll()
			name := newest(t, dir)
			c.change(t, dir, name, read(t, name))
			refused(t, w.tryPoll(), append(c.words, filepath.Base(name))...)
			if len(w.lines) != 3 {
				t.Errorf("got %d lines, want the three from before", len(w.lines))
			}
		})
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// A line that is missing between two that were shown is a gap in the chain.
func TestAWatchMissesNoLine(t *testing.T) {
	t.Parallel()
	dir := threeDays(t)
	name := newest(t, dir)
	lines := slices.Collect(strings.Lines(string(read(t, name))))
	write(t, name, []byte(strings.Join(slices.Delete(slices.Clone(lines), len(lines)-2, len(lines)-1), "")))
	w := watchLog(t, dir, 4)
	refused(t, w.tryPoll(), filepath.Base(name), "seq is")
	if want := lines[len(lines)-5 : len(lines)-2]; !slices.Equal(w.lines, want) {
		t.Errorf("got %q, want the three lines before the gap", w.lines)
	}
}

func TestAWatchEndsWithItsContextOrItsCaller(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir, inOS).beginMany(1100)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := watchLog(t, dir, 2000)
	if err := w.Poll(ctx, func(audit.Hit) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	stop := errors.New("stop")
	w = watchLog(t, dir, 2000)
	err := w.Poll(t.Context(), func(audit.Hit) error { return stop })
	if err != stop { //nolint:errorlint // as it is, not wrapped
		t.Errorf("got %v, want the caller's error", err)
	}
}

// A countingReader tells how much was read of it.
type countingReader struct {
	*bytes.Reader
	read int
}

func (r *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	r.read += n
	return n, err
}

func TestTheLastLinesAreFoundFromTheEnd(t *testing.T) {
	t.Parallel()
	const step = audit.BackStep
	for _, length := range []int{1, 2, 100, step - 1, step, step + 1, 2 * step} {
		line := strings.Repeat("x", length-1) + "\n"
		for _, half := range []string{"", "x", strings.Repeat("x", step-1), strings.Repeat("x", step)} {
			const all = 5
			data := strings.Repeat(line, all) + half
			for n := range all + 2 {
				r := &countingReader{Reader: bytes.NewReader([]byte(data))}
				offset, found, err := audit.LinesBefore(r, int64(len(data)), n)
				want := min(n, all)
				if wantOffset := int64((all - want) * length); err != nil || found != want || offset != wantOffset {
					t.Fatalf("%d lines of %d and %d bytes: got offset %d, %d lines, %v, want %d, %d",
						n, length, len(half), offset, found, err, wantOffset, want)
				}
				if most := want*length + len(half) + 1 + step; r.read > most {
					t.Errorf("%d lines of %d and %d bytes: read %d bytes, want at most %d",
						n, length, len(half), r.read, most)
				}
			}
		}
	}
	if offset, found, err := audit.LinesBefore(strings.NewReader(""), 0, 3); offset != 0 || found != 0 || err != nil {
		t.Errorf("an empty file: got %d, %d, %v", offset, found, err)
	}
}
