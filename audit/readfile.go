package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// readBounded reads a file of the folder that has at most limit bytes.
func readBounded(dir *folder, name string, limit int64) ([]byte, error) {
	f, err := dir.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	data, err := readAll(f, limit)
	return data, errors.Join(err, f.Close())
}

func readAll(f *os.File, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", f.Name(), limit)
	}
	return data, err
}

// readAt reads the bytes of the file from one offset to another.
func readAt(f *os.File, from, to int64) ([]byte, error) {
	data := make([]byte, to-from)
	if _, err := f.ReadAt(data, from); err != nil {
		return nil, fmt.Errorf("%s: reading at byte %d: %w", f.Name(), from, err)
	}
	return data, nil
}

func sizeOf(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// lineStart returns where the line begins that has the byte at offset at, which
// is not a newline's.
func lineStart(data []byte, at int) int { return bytes.LastIndexByte(data[:at], '\n') + 1 }
