package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// errUnterminated says that a file ends within a line.
var errUnterminated = errors.New("the file ends within a line")

// scanLines calls do for every line, without its newline, with the offset where it
// begins. The line is valid during the call. Of a line of more than 4*MaxLine bytes
// do gets these, and nothing is read behind it. An end without newline is an error
// (errUnterminated).
func scanLines(r io.Reader, do func(line []byte, offset int64) error) error {
	in := bufio.NewReaderSize(r, 4*MaxLine)
	for offset := int64(0); ; {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return errUnterminated
		case errors.Is(err, bufio.ErrBufferFull):
			return do(line, offset) // too long, as do finds out
		case err != nil:
			return fmt.Errorf("reading at byte %d: %w", offset, err)
		}
		if err := do(line[:len(line)-1], offset); err != nil {
			return err
		}
		offset += int64(len(line))
	}
}
