package audit

import (
	"bytes"
	"fmt"
	"os"
)

// openEvery is how many bytes of lines lie between two `open` records at the
// most, but for the batch in which it is passed: so much is read at start to
// know which requests are open, whatever the size of the day file.
const openEvery = 1 << 20

// maxAnchor is how far from any line the `day`, `open` or `start` record before
// it can lie.
const maxAnchor = openEvery + 2*maxBatch

// findAnchor returns the offset of the newest line before end from which on the
// lines tell what is open: the first of a `day` or `open` group, or a `start`.
func findAnchor(f *os.File, end int64) (int64, error) {
	for width := int64(256 << 10); ; width *= 4 {
		from := max(0, end-width)
		data, err := readAt(f, from, end)
		if err != nil {
			return 0, err
		}
		if at := anchorIn(data); at >= 0 {
			return from + int64(at), nil
		}
		if from == 0 || width > maxAnchor {
			return 0, fmt.Errorf("%s: no day, open or start record in the %d bytes before byte %d: %w",
				f.Name(), end-from, end, errDamaged)
		}
	}
}

// anchorIn returns where the last such line begins, -1 if there is none that
// begins in data.
func anchorIn(data []byte) int {
	end := len(data)
	for {
		at := -1
		for _, reason := range []string{reasonDay, reasonOpen, reasonStart} {
			at = max(at, bytes.LastIndex(data[:end], []byte(`"reason":"`+reason+`"`)))
		}
		if at < 0 {
			return -1
		}
		start := lineStart(data, at)
		line, _, _ := bytes.Cut(data[start:], []byte("\n"))
		if isAnchor(line) {
			return start
		}
		end = at
	}
}

func isAnchor(line []byte) bool {
	r, err := Parse(line)
	switch {
	case err != nil || r.Phase != System:
		return false
	case namesOpen(r):
		return metaInt(r, "part") == 1
	default:
		return r.Reason == reasonStart
	}
}
