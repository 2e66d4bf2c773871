package audit

import "io"

// BackStep is how many bytes are read at a time from the end.
const BackStep = backStep

// ProgressStep is how often a search tells how far it is.
const ProgressStep = progressStep

func LinesBefore(r io.ReaderAt, size int64, n int) (offset int64, found int, err error) {
	return linesBefore(r, size, n)
}
