package audit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
)

// A mark is a checkpoint that lines are held against once as many were read.
type mark struct {
	*Checkpoint
	msg   []byte
	where string // its file's name; "" of one that was kept elsewhere
}

// history reports whether the mark is one of a file of checkpoints.
func (m *mark) history() bool { return strings.HasPrefix(m.where, notePrefix) }

// place names the mark for messages.
func (m *mark) place() string { return cmp.Or(m.where, "a checkpoint from elsewhere") }

// A marks hands out the checkpoints of a folder, and those from elsewhere, in
// the order of their sizes. Of the histories only one note is in memory.
type marks struct {
	next    func() (*mark, error, bool)
	stop    func()
	noted   *mark   // the next of the histories; nil at their end
	singles []*mark // the others, in order
	newest  int64   // the size of the one in checkpointName
}

// openMarks begins with the checkpoints that are there now: what is written
// meanwhile is not looked at. The newest is read once it is known how long the
// histories are, or it could be behind them. live says that the last note may be
// half written.
func openMarks(dir *folder, found *inventory, anchors [][]byte, live bool) (*marks, error) {
	if !found.checkpoint {
		return nil, &VerifyError{File: checkpointName, Err: errors.New("there are records and no checkpoint")}
	}
	ends, err := lengthsOf(dir, found.histories)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	newest, err := readBounded(dir, checkpointName, maxNote)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	m := new(marks)
	for i, msg := range append([][]byte{newest}, anchors...) {
		one, err := newMark(msg, "")
		if err != nil {
			place := checkpointName
			if i > 0 {
				place = "a checkpoint from elsewhere"
			}
			return nil, &VerifyError{File: place, Err: err}
		}
		if i == 0 {
			one.where, m.newest = checkpointName, one.Size
		}
		m.singles = append(m.singles, one)
	}
	slices.SortStableFunc(m.singles, func(a, b *mark) int { return cmp.Compare(a.Size, b.Size) })
	m.next, m.stop = iter.Pull2(histories(dir, found.histories, ends, live))
	if err := m.advance(); err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

func (m *marks) close() { m.stop() }

func newMark(msg []byte, where string) (*mark, error) {
	c, err := parseNote(msg)
	if err != nil {
		return nil, err
	}
	return &mark{c, bytes.Clone(msg), where}, nil
}

func lengthOf(dir *folder, name string) (int64, error) {
	f, err := dir.open(name, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	n, err := sizeOf(f)
	return n, errors.Join(err, f.Close())
}

func lengthsOf(dir *folder, names []string) (lengths []int64, err error) {
	lengths = make([]int64, len(names))
	for i, name := range names {
		if lengths[i], err = lengthOf(dir, name); err != nil {
			return nil, err
		}
	}
	return lengths, nil
}

// histories goes through the notes of the files, each to the end that is given.
func histories(dir *folder, names []string, ends []int64, live bool) iter.Seq2[*mark, error] {
	return func(yield func(*mark, error) bool) {
		for i, name := range names {
			err := eachNote(dir, name, ends[i], func(m *mark) error {
				if !yield(m, nil) {
					return errStop
				}
				return nil
			})
			switch {
			case errors.Is(err, errStop):
				return
			case errors.Is(err, errUnterminated) && i == len(names)-1 && live:
			case err != nil:
				yield(nil, &VerifyError{File: name, Err: err})
				return
			}
		}
	}
}

func eachNote(dir *folder, name string, end int64, do func(*mark) error) error {
	f, err := dir.open(name, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	return scanNotes(io.LimitReader(f, end), func(msg []byte, _ int64) error {
		m, err := newMark(msg, name)
		if err != nil {
			return err
		}
		return do(m)
	})
}

// advance goes to the next note of the histories.
func (m *marks) advance() error {
	before := m.noted
	next, err, more := m.next()
	if m.noted = next; err != nil || !more {
		return err
	}
	if before != nil && next.Size < before.Size {
		return &VerifyError{File: next.where, Seq: next.Size, Err: errors.New(
			"a checkpoint of fewer lines than the one before it")}
	}
	return nil
}

// take removes the next mark of at most size lines and returns it; nil if there
// is none.
func (m *marks) take(size int64) (*mark, error) {
	noted := m.noted != nil && m.noted.Size <= size
	single := len(m.singles) > 0 && m.singles[0].Size <= size
	switch {
	case noted && (!single || m.noted.Size <= m.singles[0].Size):
		next := m.noted
		return next, m.advance()
	case single:
		next := m.singles[0]
		m.singles = m.singles[1:]
		return next, nil
	default:
		return nil, nil
	}
}

// pass holds the lines against the checkpoints of as many lines.
func (v *verifier) pass() error {
	size := v.head.Seq
	for {
		m, err := v.marks.take(size)
		if err != nil || m == nil {
			return err
		}
		if err := v.check(m); errors.Is(err, errOtherRoot) && v.began {
			return fmt.Errorf("the lines from seq %d to %d are not those that %s was signed for: %w",
				v.report.Signed+1, m.Size, m.place(), err)
		} else if err != nil {
			return &VerifyError{File: m.place(), Seq: m.Size, Err: err}
		}
		if m.history() && m.Size > v.marks.newest { // which is written before the history
			return &VerifyError{File: checkpointName, Seq: m.Size, Err: fmt.Errorf(
				"it knows of %d lines and %s of %d: an older one was put back", v.marks.newest, m.where, m.Size)}
		}
	}
}

// check holds the lines so far against one checkpoint of as many, or of fewer
// where reading did not begin with the first line.
func (v *verifier) check(m *mark) error {
	switch {
	case v.logID != "" && m.LogID != v.logID:
		return fmt.Errorf("it is of another log (%s)", m.LogID)
	case m.Size == 0: // none is signed before there are lines
		return errors.New("it covers no line")
	case m.Size < v.head.Seq:
		return nil // what it is of was moved away
	}
	if err := v.trust.check(m); err != nil {
		return err
	}
	if v.file != "" && (m.File != v.file || m.Offset != v.offset) {
		return fmt.Errorf("it ends at byte %d of %s, and line %d at byte %d of %s", m.Offset, m.File, m.Size,
			v.offset, v.file)
	}
	if err := v.rootedAt(m); err != nil {
		return err
	}
	v.marked(m)
	return nil
}

func (v *verifier) rootedAt(m *mark) error {
	if !v.rooted { // the beginning is missing: go on from here
		v.tree, v.rooted = *m.tree(), true
		return nil
	}
	if v.tree.root() != m.Root {
		return errOtherRoot
	}
	return nil
}

var errOtherRoot = errors.New("the tree's root is another")

func (v *verifier) marked(m *mark) {
	switch {
	case m.where == "":
		v.report.Anchored++
	case m.history():
		v.noted = m.Size
		fallthrough
	default:
		v.report.Checkpoints++
	}
	v.report.Signed = max(v.report.Signed, m.Size)
}

// covered checks that no checkpoint is left that knows of more lines, that
// there was one, and that the key from elsewhere has signed.
func (v *verifier) covered() error {
	m, err := v.marks.take(1<<63 - 1)
	switch {
	case err != nil:
		return err
	case m != nil && m.LogID != v.logID:
		return &VerifyError{File: m.place(), Err: fmt.Errorf("it is of another log (%s)", m.LogID)}
	case m != nil:
		return &VerifyError{File: m.place(), Seq: v.head.Seq + 1, Err: fmt.Errorf(
			"it knows of %d lines, and the trail ends after %d: lines are missing", m.Size, v.head.Seq)}
	case v.report.Checkpoints == 0 && v.began:
		return &VerifyError{File: checkpointName, Err: errors.New("no checkpoint covers any of the records")}
	}
	return v.trust.attested(v.cfg.Key)
}
