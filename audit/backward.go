package audit

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// backStep is how many bytes are read at a time on the way back from the end.
const backStep = 64 << 10

// lastLines returns the offset where the last n whole lines of f begin, and how
// many these are: fewer than n if the file has no more. It reads these lines, the
// newline before them, and a half line at the end.
func lastLines(f *os.File, n int) (offset int64, found int, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	return linesBefore(f, info.Size(), n)
}

// linesBefore is lastLines for the first size bytes of any reader.
func linesBefore(r io.ReaderAt, size int64, n int) (offset int64, found int, err error) {
	buf := make([]byte, backStep)
	ends := 0 // newlines seen; the last line's is the first of them
	for start := size; start > 0; {
		chunk := buf[:min(start, backStep)]
		start -= int64(len(chunk))
		if _, err := r.ReadAt(chunk, start); err != nil {
			return 0, 0, fmt.Errorf("reading at byte %d: %w", start, err)
		}
		for i := len(chunk); ; ends++ {
			if i = bytes.LastIndexByte(chunk[:i], '\n'); i < 0 {
				break
			}
			if ends == n {
				return start + int64(i) + 1, n, nil
			}
		}
	}
	return 0, ends, nil
}
