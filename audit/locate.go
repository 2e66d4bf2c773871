package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// findOpen looks up the received records of the requests of which only the seq
// is known, in the files that are there: a search by halves in each, so that
// its cost hardly grows with the trail.
func (t *tail) findOpen(dir *folder, days []string) error {
	missing := make([]int64, 0, len(t.open))
	for seq, received := range t.open {
		if received == nil {
			missing = append(missing, seq)
		}
	}
	slices.Sort(missing)
	for i := len(days) - 1; i >= 0 && len(missing) > 0; i-- {
		var err error
		if missing, err = t.findIn(dir, days[i], missing); err != nil {
			return err
		}
	}
	return nil // what is left lay in days that were moved away
}

// findIn looks the seqs up that are in the file, and returns the earlier ones.
func (t *tail) findIn(dir *folder, name string, seqs []int64) ([]int64, error) {
	f, err := dir.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if name == t.name { // what lies behind is about to be cut
		size = t.good
	}
	if err != nil || size == 0 {
		return seqs, err
	}
	first, _, err := recordAfter(f, 0, size)
	if err != nil {
		return nil, err
	}
	from, _ := slices.BinarySearch(seqs, first.Seq)
	for _, seq := range seqs[from:] {
		r, err := findSeq(f, size, seq)
		if err != nil {
			return nil, err
		}
		if r.Phase != Received {
			return nil, fmt.Errorf("%s: seq %d is named as open and is not a received record: %w",
				name, seq, errDamaged)
		}
		t.open[seq] = r
	}
	return seqs[:from], nil
}

// findSeq returns the record of a seq of the file's.
func findSeq(f *os.File, size, seq int64) (*Record, error) {
	low, high := int64(0), size // the line begins in [low, high)
	for low < high {
		middle := low + (high-low)/2
		r, start, err := recordAfter(f, middle, size)
		switch {
		case err == nil && r.Seq == seq:
			return r, nil
		case err == nil && r.Seq < seq:
			low = start + 1
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		}
		high = middle
	}
	return nil, fmt.Errorf("%s: no line of seq %d: %w", f.Name(), seq, errDamaged)
}

// recordAfter reads the first line that begins at or behind the offset at, and
// returns where it begins. It is io.EOF that there is none.
func recordAfter(f *os.File, at, size int64) (*Record, int64, error) {
	from := max(0, at-1) // the newline before a line that begins at at
	for width := int64(4 << 10); ; width *= 4 {
		data, err := readAt(f, from, min(size, from+width))
		if err != nil {
			return nil, 0, err
		}
		start := 0
		if at > 0 {
			start = bytes.IndexByte(data, '\n') + 1
		}
		line, _, whole := bytes.Cut(data[start:], []byte("\n"))
		if whole && (at == 0 || start > 0) {
			r, err := Parse(line)
			if err != nil {
				return nil, 0, fmt.Errorf("%s: byte %d: %w: %w", f.Name(), from+int64(start), err, errDamaged)
			}
			return r, from + int64(start), nil
		}
		if from+width >= size || width > 4*MaxLine {
			return nil, 0, io.EOF
		}
	}
}
