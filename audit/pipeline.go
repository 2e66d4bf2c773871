package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// A readLine is one line of a day file, read and hashed.
type readLine struct {
	rec    *Record // nil if err is not
	err    error   // of Parse
	line   []byte  // without its newline; valid during the call
	offset int64   // where it begins in the file
	hash   Hash    // HashLine(line)
	leaf   Hash    // leafHash(line)
}

// eachRead is [scanLines] with the lines parsed and hashed on all cores, and
// handed to do in their order, on the caller's goroutine. start is the offset of
// r's first byte in its file. It stops at the first error of do or of ctx; no
// goroutine is left behind. Of what do gets, the record may be kept.
//
//	r → chunk of whole lines → one goroutine a chunk → do
//
// A few chunks at a time are under way, whatever the length of the file.
func eachRead(ctx context.Context, r io.Reader, start int64, do func(*readLine) error) error {
	p := pipeline{in: r, offset: start, chunks: make([]chunk, 1+min(runtime.GOMAXPROCS(0), maxAtOnce))}
	defer p.running.Wait()
	for {
		for !p.ended && p.begun-p.taken < len(p.chunks) {
			p.begin()
		}
		if p.taken == p.begun {
			return p.end
		}
		c := p.take()
		for i := range c.lines {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(&c.lines[i]); err != nil {
				return err
			}
		}
		if c.last {
			return nil
		}
	}
}

const (
	// longLine is as much as is read of a line that is too long.
	longLine = 4 * MaxLine
	// chunkSize is how much is read at once: so much that a chunk has a line's end
	// in it or a line that is too long.
	chunkSize = 2 * longLine
	// maxAtOnce bounds the memory on machines with many cores, all of which do
	// could not keep up with.
	maxAtOnce = 8
)

// A pipeline reads chunks of a file and has them parsed.
type pipeline struct {
	in      io.Reader
	offset  int64   // of the next chunk in the file
	rest    []byte  // the beginning of a line, at the end of the last chunk
	chunks  []chunk // a ring
	begun   int     // how many chunks were given to a goroutine
	taken   int     // how many of these came back
	running sync.WaitGroup
	ended   bool  // nothing more is to be read
	end     error // why, nil where the file ends as it should
}

// begin reads a chunk and has it parsed. What it reads of the last line without
// its end goes to the next chunk.
func (p *pipeline) begin() {
	c := &p.chunks[p.begun%len(p.chunks)]
	if c.buf == nil {
		c.buf, c.done = make([]byte, chunkSize), make(chan struct{}, 1)
	}
	n := copy(c.buf, p.rest)
	var err error
	for n < len(c.buf) && err == nil {
		var m int
		m, err = p.in.Read(c.buf[n:])
		n += m
	}
	whole := bytes.LastIndexByte(c.buf[:n], '\n') + 1
	p.rest = c.buf[whole:n]
	switch {
	case len(p.rest) >= longLine:
		p.ended, whole = true, n
	case errors.Is(err, io.EOF) && len(p.rest) > 0:
		p.ended, p.end = true, errUnterminated
	case errors.Is(err, io.EOF):
		p.ended = true
	case err != nil:
		p.ended, p.end = true, fmt.Errorf("reading at byte %d: %w", p.offset+int64(whole), err)
	}
	c.offset = p.offset
	p.offset += int64(whole)
	p.begun++
	p.running.Go(func() { c.parse(c.buf[:whole]) })
}

// take waits for the oldest chunk that is under way.
func (p *pipeline) take() *chunk {
	c := &p.chunks[p.taken%len(p.chunks)]
	<-c.done
	p.taken++
	return c
}

// A chunk is a part of a file that is parsed at once, by a goroutine that owns it
// until it says done.
type chunk struct {
	buf    []byte
	offset int64 // of buf in the file
	lines  []readLine
	last   bool          // its last line is too long: nothing behind it is read
	done   chan struct{} // has room for the one that says that lines is complete
}

// parse reads the lines of whole, which is at the start of buf.
func (c *chunk) parse(whole []byte) {
	c.lines = c.lines[:0]
	for at := 0; at < len(whole) && !c.last; {
		line := whole[at:min(len(whole), at+longLine)]
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line = line[:end]
		} else {
			c.last = true
		}
		r := readLine{line: line, offset: c.offset + int64(at), hash: HashLine(line), leaf: leafHash(line)}
		r.rec, r.err = Parse(line)
		c.lines = append(c.lines, r)
		at += len(line) + 1
	}
	c.done <- struct{}{}
}
