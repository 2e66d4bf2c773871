package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A Hit is a record that was looked for.
type Hit struct {
	Log    string // the subfolder's name; "" if the folder is one log
	Record *Record
	Line   []byte // as on disk, without its newline; valid during the call
}

// Search calls do for each record in dir that q wants, in the order of the lines.
// dir is one log or a folder of logs (see [Logs]), which are taken one after the
// other. Search changes nothing and may run while the log is being written: it
// reads what is there when it begins. Memory does not grow with the trail.
//
// A line that is no record is an error that says where, also when it lies where q
// wants nothing; only the newest file may end within a line, which is then being
// written, or was when a run died. Whether the lines are the true ones, only
// [Verify] knows. An error of do ends the search and is returned as it is.
//
// progress, if not nil, is called every 64 KiB or so with the bytes that were
// read, of how many.
func Search(
	ctx context.Context, dir string, q Query, progress func(done, total int64), do func(Hit) error,
) error {
	logs, err := Logs(dir)
	if err != nil {
		return err
	}
	if logs == nil {
		logs = []string{""}
	}
	s := search{ctx: ctx, query: q, progress: progress, do: do}
	for _, log := range logs {
		if err := s.add(dir, log); err != nil {
			return err
		}
	}
	for _, p := range s.parts {
		if err := s.read(p); err != nil {
			return err
		}
	}
	s.tell(s.total)
	return nil
}

// progressStep is how many bytes are read before progress is told of again.
const progressStep = 64 << 10

type search struct {
	ctx      context.Context //nolint:containedctx // one call long
	query    Query
	progress func(done, total int64)
	do       func(Hit) error
	parts    []part
	done     int64 // bytes of the parts that were read
	told     int64
	total    int64
}

// A part is a day file as it was when the search began.
type part struct {
	log, dir, name string
	size           int64
	newest         bool // of its log
}

// add finds the parts of one log.
func (s *search) add(dir, log string) error {
	dir = filepath.Join(dir, log)
	days, err := daysIn(dir)
	if err != nil {
		return err
	}
	for i, name := range days {
		if !s.query.reaches(name) {
			continue
		}
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		s.total += info.Size()
		s.parts = append(s.parts, part{log, dir, name, info.Size(), i == len(days)-1})
	}
	return nil
}

func (s *search) read(p part) (err error) {
	d, err := openForReading(p.dir)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer d.close()
	f, err := d.open(p.name, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer f.Close()
	lines, end := int64(0), int64(0)
	err = scanLines(io.LimitReader(f, p.size), func(line []byte, offset int64) error {
		lines++
		end = offset + int64(len(line)) + 1
		s.tell(s.done + offset)
		if lines%1024 == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		return s.line(p, lines, line)
	})
	s.done += p.size
	if err == nil && end < p.size {
		err = errShrunk
	}
	switch beingWritten := errors.Is(err, errUnterminated) || errors.Is(err, errShrunk); {
	case !beingWritten:
		return err
	case p.newest:
		return nil
	}
	return noRecord(filepath.Join(p.log, p.name), lines+1, err)
}

// errShrunk says that a file became shorter while it was read. The newest may: a
// write that found no room is undone.
var errShrunk = errors.New("the file became shorter while it was read")

func (s *search) line(p part, number int64, line []byte) error {
	r, err := Parse(line)
	if err != nil {
		return noRecord(filepath.Join(p.log, p.name), number, err)
	}
	if !s.query.Match(r) {
		return nil
	}
	return s.do(Hit{Log: p.log, Record: r, Line: line})
}

func (s *search) tell(done int64) {
	if s.progress != nil && (done >= s.told+progressStep || done == s.total) {
		s.told = done
		s.progress(done, s.total)
	}
}

// noRecord says where a line is that is no record, and why.
func noRecord(name string, line int64, err error) error {
	return fmt.Errorf("audit: %s: line %d is no record (run audit verify): %s", name, line, bare(err))
}

// bare returns what err says without the package's name, for a sentence that
// begins with it.
func bare(err error) string { return strings.TrimPrefix(err.Error(), "audit: ") }
