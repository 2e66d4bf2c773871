package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// A Watcher shows the end of one log, and then what is added to it. [Watch] makes
// it, the caller closes it. Not safe for concurrent use.
//
// What it shows was written, though perhaps not yet made durable. Each record
// must follow the one shown before it by seq and prev_hash: none is missed or
// shown twice.
type Watcher struct {
	dir  *folder
	file *os.File // the day file that is read
	name string   // of file
	at   int64    // offset in file after the last line that was shown
	head Head     // of that line; zero before the first
}

// Watch begins n records before the end of the log in dir, or at its beginning if
// there are fewer, without reading what lies before. The error is [ErrNoTrail] if
// there are no day files in dir itself.
func Watch(dir string, n int) (_ *Watcher, err error) {
	d, err := openForReading(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	w := &Watcher{dir: d}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	days, err := w.days()
	if err != nil {
		return nil, err
	}
	if len(days) == 0 {
		return nil, fmt.Errorf("%w in %q", ErrNoTrail, dir)
	}
	for _, name := range slices.Backward(days) {
		var found int
		if err := w.open(name); err != nil {
			return nil, err
		}
		if w.at, found, err = lastLines(w.file, n); err != nil {
			return nil, fmt.Errorf("audit: %s: %w", name, err)
		}
		if n -= found; n == 0 {
			break
		}
	}
	return w, nil
}

// Close gives up the files.
func (w *Watcher) Close() error {
	var err error
	if w.file != nil {
		err = w.file.Close()
	}
	return errors.Join(err, w.dir.close())
}

// Poll calls do for each record that is there and was not shown yet. A line that
// is not finished is left for the next call. After an error nothing more can be
// shown: a line is no record or does not follow the one before, the file was cut,
// removed or replaced, or the folder was. An error of do is returned as it is.
func (w *Watcher) Poll(ctx context.Context, do func(Hit) error) error {
	for {
		_, err := w.drain(ctx, do)
		if err != nil {
			return err
		}
		next, err := w.next()
		if next == "" || err != nil {
			return err
		}
		// The day is over: nothing is added to this file any more, but something
		// may have been before the next was looked for.
		unfinished, err := w.drain(ctx, do)
		if err != nil {
			return err
		}
		if unfinished {
			return w.errorf("the file ends within a line, and %s was begun", next)
		}
		if err := w.open(next); err != nil {
			return err
		}
	}
}

// drain shows what the file has, and reports whether it ends within a line.
func (w *Watcher) drain(ctx context.Context, do func(Hit) error) (unfinished bool, err error) {
	size, err := w.check()
	if err != nil || size == w.at {
		return false, err
	}
	lines, start := 0, w.at
	err = scanLines(io.NewSectionReader(w.file, start, size-start), func(line []byte, offset int64) error {
		lines++
		if lines%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r, err := Parse(line)
		if err == nil && w.head != (Head{}) {
			err = w.head.follow(r)
		}
		if err != nil {
			return w.errorf("no record that follows the one before (run audit verify): %s", bare(err))
		}
		w.head = Head{Seq: r.Seq, Hash: HashLine(line)}
		w.at = start + offset + int64(len(line)) + 1
		return do(Hit{Record: r, Line: line})
	})
	if errors.Is(err, errUnterminated) {
		return true, nil
	}
	return false, err
}

// check finds out whether the file is still the one of its name and holds what
// was shown, and returns its size.
func (w *Watcher) check() (int64, error) {
	open, err := w.file.Stat()
	if err != nil {
		return 0, w.errorf("%w", err)
	}
	named, err := os.Lstat(w.file.Name())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, w.errorf("the file was removed or renamed, or its folder was")
	case err != nil:
		return 0, w.errorf("%w", err)
	case !os.SameFile(open, named):
		return 0, w.errorf("the file was replaced by another, or its folder was")
	case open.Size() < w.at:
		return 0, w.errorf("the file became shorter (%d bytes): it was cut, "+
			"or a write that found no room was undone", open.Size())
	}
	return open.Size(), nil
}

// next returns the name of the day file after the one that is read, "" if there
// is none yet.
func (w *Watcher) next() (string, error) {
	days, err := w.days()
	if err != nil {
		return "", err
	}
	i, found := slices.BinarySearch(days, w.name)
	if found {
		i++
	}
	if i == len(days) {
		return "", nil
	}
	return days[i], nil
}

func (w *Watcher) days() ([]string, error) {
	found, err := w.dir.inventory()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return found.days, nil
}

// open goes over to the beginning of another day file.
func (w *Watcher) open(name string) error {
	f, err := w.dir.open(name, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if w.file != nil {
		err = w.file.Close()
	}
	w.file, w.name, w.at = f, name, 0
	return err
}

// errorf says where the watcher stands.
func (w *Watcher) errorf(format string, args ...any) error {
	return fmt.Errorf("audit: %s, byte %d: %w", w.name, w.at, fmt.Errorf(format, args...))
}
