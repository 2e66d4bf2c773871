package audit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/mod/sumdb/tlog"

	"tollbook/audit"
)

// goodLines returns n good lines with their newlines, of lengths all different
// from their neighbours'.
func goodLines(n int) []byte {
	var data []byte
	for i := range n {
		r := full()
		r.Seq += int64(i)
		r.UserAgent = strings.Repeat("u", 1+i*37%997)
		data = append(audit.AppendRecord(data, r), '\n')
	}
	return data
}

// padded returns lines of size bytes in all, the last of which ends with end.
func padded(size int, end string) []byte {
	data := goodLines(size/2000 + 1)
	data = data[:bytes.LastIndexByte(data[:min(size-len(end), len(data))], '\n')+1]
	for len(data) < size-len(end) {
		n := min(size-len(end)-len(data), 5000)
		data = append(data, strings.Repeat("p", n-1)+"\n"...)
	}
	return append(data, end...)
}

// wantRead is what eachRead is to hand on, made the slow way.
func wantRead(r io.Reader, start int64) (want []audit.ReadLine, err error) {
	err = audit.ScanLines(r, func(line []byte, offset int64) error {
		l := audit.ReadLine{
			Line: bytes.Clone(line), Offset: start + offset,
			Hash: audit.HashLine(line), Leaf: audit.Hash(tlog.RecordHash(line)),
		}
		_, l.Err = audit.Parse(line)
		want = append(want, l)
		return nil
	})
	return want, err
}

func gotRead(ctx context.Context, r io.Reader, start int64) (got []audit.ReadLine, err error) {
	err = audit.EachRead(ctx, r, start, func(l audit.ReadLine) error {
		l.Line = bytes.Clone(l.Line)
		got = append(got, l)
		return nil
	})
	return got, err
}

var errDisk = errors.New("the disk is on fire")

// failing returns a reader of data that then has an error.
func failing(data []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(data), iotest.ErrReader(errDisk))
}

var readers = map[string]func([]byte) io.Reader{
	"whole":    func(data []byte) io.Reader { return bytes.NewReader(data) },
	"halves":   func(data []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(data)) },
	"EOF soon": func(data []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(data)) },
	"failing":  failing,
	"failing soon": func(data []byte) io.Reader {
		return iotest.DataErrReader(failing(data))
	},
}

func inputs() map[string][]byte {
	const chunk, long = audit.ChunkSize, audit.LongLine
	x := func(n int) string { return strings.Repeat("x", n) }
	longest := full()
	longest.UserAgent = strings.Repeat("u", audit.MaxLine-1-len(goldenFull)+len("ua"))
	longestLine := string(audit.AppendRecord(nil, longest)) + "\n"
	all := map[string][]byte{
		"empty":                   nil,
		"one line":                goodLines(1),
		"one byte":                []byte("x"),
		"one newline":             []byte("\n"),
		"newlines":                bytes.Repeat([]byte("\n"), 3000),
		"bad line":                []byte(goldenFull + "\nx\n" + goldenFull + "\n"),
		"unterminated":            append(goodLines(3), goldenFull...),
		"many":                    goodLines(800),
		"many, unterminated":      append(goodLines(800), "x"...),
		"the longest":             []byte(longestLine),
		"the longest over border": padded(chunk+audit.MaxLine/2, longestLine),
		"a byte too long":         append(goodLines(2), x(audit.MaxLine)+"\n"+goldenFull+"\n"...),
		"as long as is read":      append(goodLines(2), x(long-1)+"\n"+goldenFull+"\n"...),
		"longer than is read":     append(goodLines(2), x(long)+"\n"+goldenFull+"\n"...),
		"long over the border":    padded(chunk+long/2, x(long-1)+"\n"),
		"longer over the border":  append(padded(chunk+long/2, x(long)+"\n"), goodLines(400)...),
		"longer than a chunk":     append(goodLines(2), x(3*chunk)+"\n"+goldenFull+"\n"...),
		"longer, no end":          append(goodLines(2), x(3*chunk)...),
		"long, no end":            append(goodLines(2), x(long-1)...),
	}
	for name, size := range map[string]int{"before": chunk - 1, "at": chunk, "behind": chunk + 1} {
		all["ends "+name+" the border"] = padded(size, goldenFull+"\n")
		all["goes on "+name+" the border"] = append(padded(size, goldenFull+"\n"), goodLines(400)...)
		all["breaks off "+name+" the border"] = padded(size, goldenFull)
	}
	return all
}

func TestEachReadHandsOnWhatScanLinesDoes(t *testing.T) {
	const start = 1 << 40
	for name, data := range inputs() {
		for shape, reader := range readers {
			want, wantErr := wantRead(reader(data), start)
			for _, cores := range []int{1, 2} {
				before := runtime.GOMAXPROCS(cores)
				got, err := gotRead(t.Context(), reader(data), start)
				runtime.GOMAXPROCS(before)
				if !sameError(err, wantErr) {
					t.Errorf("%s, %s, %d cores: got error %v, want %v", name, shape, cores, err, wantErr)
				}
				sameLines(t, name+", "+shape, got, want)
			}
		}
	}
}

// sameError compares errors, of a failed read without its place, which counts
// from another byte.
func sameError(got, want error) bool {
	if errors.Is(want, errDisk) || errors.Is(want, audit.ErrUnterminated) {
		return errors.Is(got, errDisk) == errors.Is(want, errDisk) &&
			errors.Is(got, audit.ErrUnterminated) == errors.Is(want, audit.ErrUnterminated)
	}
	return got == nil && want == nil
}

func sameLines(t *testing.T, name string, got, want []audit.ReadLine) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d lines, want %d", name, len(got), len(want))
		return
	}
	for i := range want {
		g, w := got[i], want[i]
		same := bytes.Equal(g.Line, w.Line) && g.Offset == w.Offset && g.Hash == w.Hash && g.Leaf == w.Leaf
		if g.Record == nil {
			same = same && g.Err != nil && w.Err != nil
		} else {
			same = same && g.Err == nil && bytes.Equal(audit.AppendRecord(nil, g.Record), w.Line)
		}
		if !same {
			t.Errorf("%s: line %d: got\n%.200v\nwant\n%.200v", name, i, g, w)
			return
		}
	}
}

func TestEachReadTakesALineOfAllThatIsReadForTooLong(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("x"), audit.LongLine)
	want, wantErr := wantRead(bytes.NewReader(data), 0)
	got, err := gotRead(t.Context(), bytes.NewReader(data), 0)
	if !sameError(err, wantErr) {
		t.Errorf("got error %v, want %v", err, wantErr)
	}
	sameLines(t, "no end", got, want)
}

func TestEachReadSaysWhereReadingFailed(t *testing.T) {
	t.Parallel()
	data := goodLines(1000)
	cut := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	got, err := gotRead(t.Context(), failing(data[:cut+5]), 100)
	if want := int64(100 + cut); len(got) != 999 || !errors.Is(err, errDisk) {
		t.Errorf("got %d lines and error %v, want 999 and %v", len(got), err, errDisk)
	} else {
		refused(t, err, "reading at byte "+strconv.FormatInt(want, 10)+": ")
	}
}

func TestEachReadStopsAtTheFirstErrorOfDo(t *testing.T) {
	errEnough := errors.New("enough")
	data := goodLines(1500)
	for _, at := range []int{1, 2, 200, 700, 1500} {
		calls := 0
		err := audit.EachRead(t.Context(), bytes.NewReader(data), 0, func(audit.ReadLine) error {
			if calls++; calls == at {
				return errEnough
			}
			return nil
		})
		nobodyParses(t)
		if calls != at || !errors.Is(err, errEnough) {
			t.Errorf("at %d: got %d calls and error %v, want %v", at, calls, err, errEnough)
		}
	}
}

func TestEachReadStopsWithItsContext(t *testing.T) {
	data := goodLines(1500)
	for _, at := range []int{1, 2, 200, 700, 1499} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		err := audit.EachRead(ctx, bytes.NewReader(data), 0, func(audit.ReadLine) error {
			if calls++; calls == at {
				cancel()
			}
			return nil
		})
		nobodyParses(t)
		if calls != at || !errors.Is(err, context.Canceled) {
			t.Errorf("at %d: got %d calls and error %v, want %v", at, calls, err, context.Canceled)
		}
	}
}

func TestEachReadLeavesNobodyBehindWhenDoPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic, want that of do")
		}
		nobodyParses(t)
	}()
	_ = audit.EachRead(t.Context(), bytes.NewReader(goodLines(1500)), 0, func(audit.ReadLine) error {
		panic("do")
	})
}

// nobodyParses fails the test if a goroutine is at work for a reader.
func nobodyParses(t *testing.T) {
	t.Helper()
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	if n := strings.Count(string(all), "audit.(*chunk).parse("); n > 0 {
		t.Errorf("%d goroutines were left behind", n)
	}
}

func TestEachReadOfAnEndedContextReadsNoLine(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := gotRead(ctx, bytes.NewReader(goodLines(3)), 0)
	if len(got) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("got %d lines and error %v, want none and %v", len(got), err, context.Canceled)
	}
}

// An endless reader repeats data and counts what it gave.
type endless struct {
	data []byte
	read int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.data[e.read%int64(len(e.data)):])
	e.read += int64(n)
	return n, nil
}

func TestEachReadHoldsFewChunksOfAnEndlessFile(t *testing.T) {
	t.Parallel()
	in := &endless{data: goodLines(10)}
	errEnough := errors.New("enough")
	atMost := int64(1+runtime.GOMAXPROCS(0)) * audit.ChunkSize
	next := int64(5)
	err := audit.EachRead(t.Context(), in, 5, func(l audit.ReadLine) error {
		if l.Offset != next {
			t.Errorf("got a line at %d, want %d", l.Offset, next)
		}
		next += int64(len(l.Line)) + 1
		if ahead := in.read - next; ahead > atMost {
			t.Errorf("%d bytes were read ahead, want at most %d", ahead, atMost)
		}
		if next > 30*audit.ChunkSize || t.Failed() {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("got error %v, want %v", err, errEnough)
	}
}
