package audit

import (
	"context"
	"io"
)

type readLine struct {
	rec    *Record
	err    error
	line   []byte
	offset int64
	hash   Hash
	leaf   Hash
}

func eachRead(ctx context.Context, r io.Reader, start int64, do func(*readLine) error) error {
	n := 0
	return scanLines(r, func(line []byte, at int64) error {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		l := readLine{line: line, offset: start + at, hash: HashLine(line), leaf: leafHash(line)}
		l.rec, l.err = Parse(line)
		return do(&l)
	})
}
