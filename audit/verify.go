package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A Report is what [Verify] found.
type Report struct {
	LogID    string
	Files    int
	Records  int64
	Bytes    int64
	FirstSeq int64 // greater than 1: the days before are not in the folder
	Head     Head
	From, To time.Time // the first and the last record's timestamp
	Open     []int64   // received and not closed, in the last run
	// Unfinished says that the newest file ends within a line, or before its
	// first: one that is being written.
	Unfinished bool
}

// Partial reports whether the log's beginning is missing.
func (r *Report) Partial() bool { return r.FirstSeq != 1 }

// A VerifyError names the first record that is no good.
type VerifyError struct {
	File string // the day file's name; "" if that is not known
	Line int64  // from 1; 0 if that is not known
	Seq  int64  // that the line should have; 0 if that is not known
	Err  error
}

// Error says where, as far as that is known, and why in one line.
func (e *VerifyError) Error() string {
	place := fmt.Sprintf("seq %d", e.Seq)
	if e.Line > 0 {
		place = fmt.Sprintf("line %d (seq %d)", e.Line, e.Seq)
	}
	if e.File != "" {
		place = e.File + ": " + place
	}
	return fmt.Sprintf("audit: %s: %v", place, e.Err)
}

// Unwrap returns the cause.
func (e *VerifyError) Unwrap() error { return e.Err }

// ErrNoTrail says that there is nothing to verify, which is never good.
var ErrNoTrail = errors.New("audit: no day files (audit_YYYYMMDD.jsonl)")

// Verify reads the log in dir and checks its format, its numbering, its chain
// and that each request is closed exactly once. It changes nothing and may run
// while the log is being written. The error is a [*VerifyError] for the first
// record that is no good, [ErrNoTrail], or that of reading; the report then tells
// how far it came. Memory does not grow with the log.
func Verify(ctx context.Context, dir string) (*Report, error) {
	d, err := openForReading(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer d.close()
	days, _, err := d.list()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if len(days) == 0 {
		return nil, fmt.Errorf("%w in %q", ErrNoTrail, dir)
	}
	v := verifier{ctx: ctx, dir: d, follower: newFollower(), report: new(Report)}
	for i := range days {
		if err := v.file(days, i); err != nil {
			return v.finish(), err
		}
	}
	return v.finish(), v.closed()
}

// openForReading opens the folder without its lock.
func openForReading(path string) (*folder, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &folder{path: path, dir: os.NewFile(uintptr(fd), path)}, nil
}

var errEmpty = errors.New("the file is empty")

type verifier struct {
	*follower
	ctx    context.Context //nolint:containedctx // one call long
	dir    *folder
	report *Report
}

func (v *verifier) file(days []string, i int) error {
	name, before, lines := days[i], "", int64(0)
	if i > 0 {
		before = days[i-1]
	}
	err := eachLine(v.dir, name, func(line []byte, _ int64) error {
		lines++
		if lines%1024 == 0 && v.ctx.Err() != nil {
			return v.ctx.Err()
		}
		r, err := v.next(line, lines == 1, before)
		if err == nil {
			err = v.inItsDay(r, name)
		}
		if err != nil {
			return &VerifyError{File: name, Line: lines, Seq: v.expected(r), Err: err}
		}
		v.count(r, line)
		return nil
	})
	if err == nil && lines == 0 {
		err = errEmpty
	}
	switch beingWritten := errors.Is(err, errUnterminated) || errors.Is(err, errEmpty); {
	case beingWritten && i == len(days)-1 && v.live():
		v.report.Unfinished = true
	case beingWritten:
		return &VerifyError{File: name, Line: lines + 1, Seq: v.expected(nil), Err: err}
	case err != nil:
		return err
	}
	v.report.Files++
	return nil
}

// expected returns the seq that the line at hand should have.
func (v *verifier) expected(r *Record) int64 {
	if !v.began && r != nil {
		return r.Seq
	}
	return v.head.Seq + 1
}

// inItsDay checks that no record is younger than its file: the day of writing
// never goes back, so a clock that was set back leaves older records in it.
func (v *verifier) inItsDay(r *Record, name string) error {
	if dayOf(r.Timestamp) > dayOfFile(name) {
		return errorf("the record is of a later day than its file")
	}
	return nil
}

// live reports whether a writer has the folder open. It asks without taking the
// lock for longer than the question.
func (v *verifier) live() bool {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	probe, err := unix.Openat(int(v.dir.dir.Fd()), ".", flags, 0)
	if err != nil {
		return false
	}
	defer unix.Close(probe)
	return errors.Is(unix.Flock(probe, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

func (v *verifier) count(r *Record, line []byte) {
	if v.report.Records == 0 {
		v.report.FirstSeq, v.report.From = r.Seq, r.Timestamp
	}
	v.report.Records++
	v.report.Bytes += int64(len(line)) + 1
	v.report.To = r.Timestamp
}

func (v *verifier) finish() *Report {
	v.report.LogID, v.report.Head = v.logID, v.head
	v.report.Open = slices.Sorted(maps.Keys(v.open))
	return v.report
}

// closed checks that only the last run has open requests.
func (v *verifier) closed() error {
	for _, seq := range v.report.Open {
		boot := v.adopted
		if received := v.open[seq]; received != nil {
			boot = received.BootID
		}
		if boot != v.boot {
			return &VerifyError{
				Seq: seq,
				Err: errors.New("an earlier run left this request open and no later one closed it"),
			}
		}
	}
	return nil
}
