package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// scanNotes calls do for every signed checkpoint of a history, with the offset
// behind it. Notes are separated by one empty line. The note is valid during the
// call. An end within a note, or behind a separator, is errUnterminated.
func scanNotes(r io.Reader, do func(msg []byte, end int64) error) error {
	in := bufio.NewReaderSize(r, maxNote)
	s := noteScanner{do: do}
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return s.finish()
		case errors.Is(err, io.EOF):
			return errUnterminated
		case errors.Is(err, bufio.ErrBufferFull):
			return errNoteTooLong
		case err != nil:
			return fmt.Errorf("reading at byte %d: %w", s.offset, err)
		}
		if err := s.line(line); err != nil {
			return err
		}
	}
}

var errNoteTooLong = fmt.Errorf("%w: longer than %d bytes", errCheckpoint, maxNote)

// A noteScanner puts lines together to notes: a text, an empty line, signatures.
type noteScanner struct {
	do     func(msg []byte, end int64) error
	msg    []byte
	offset int64
	signed int  // lines behind the text's empty line
	inSigs bool // the text is over
	after  bool // a separator was the last line
}

func (s *noteScanner) line(line []byte) error {
	empty := len(line) == 1
	if empty && s.inSigs && s.signed > 0 {
		if err := s.do(s.msg, s.offset); err != nil {
			return err
		}
		*s = noteScanner{do: s.do, msg: s.msg[:0], offset: s.offset + 1, after: true}
		return nil
	}
	s.after = false
	s.offset += int64(len(line))
	if s.msg = append(s.msg, line...); len(s.msg) > maxNote {
		return errNoteTooLong
	}
	switch {
	case empty && (s.inSigs || len(s.msg) == 1):
		return fmt.Errorf("%w: an empty line where none belongs", errCheckpoint)
	case empty:
		s.inSigs = true
	case s.inSigs:
		s.signed++
	}
	return nil
}

func (s *noteScanner) finish() error {
	switch {
	case len(s.msg) == 0 && !s.after:
		return nil
	case s.signed == 0:
		return errUnterminated
	default:
		return s.do(s.msg, s.offset)
	}
}

// countSignatures returns how many lines of signatures the note has.
func countSignatures(msg []byte) int {
	_, sigs, _ := bytes.Cut(msg, []byte("\n\n"))
	return bytes.Count(sigs, []byte("\n"))
}

// Notes returns the signed checkpoints in a file: one, or a history of them. None
// of them is verified. Errors hold nothing of the file.
func Notes(file []byte) ([][]byte, error) {
	var notes [][]byte
	err := scanNotes(bytes.NewReader(file), func(msg []byte, _ int64) error {
		if _, err := newMark(msg, ""); err != nil {
			return err
		}
		notes = append(notes, bytes.Clone(msg))
		return nil
	})
	if err == nil && len(notes) == 0 {
		err = errUnterminated
	}
	if err != nil {
		return nil, fmt.Errorf("%w: want signed checkpoints as the trail's folder has them: %w", errCheckpoint, err)
	}
	return notes, nil
}
