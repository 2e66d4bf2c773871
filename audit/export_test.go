package audit

import (
	"context"
	"io"
	"strings"
	"time"
)

// The seams: see Config.
type File = file

func WithWrap(cfg Config, wrap func(File) File) Config {
	cfg.wrap = wrap
	return cfg
}

func WithFolderSync(cfg Config, wrap func(sync func() error) func() error) Config {
	cfg.wrapSync = wrap
	return cfg
}

func WithTicks(cfg Config, ticks <-chan time.Time) Config {
	cfg.ticks = ticks
	return cfg
}

const (
	RefusalBudget = refusalBudget
	MaxOpenSeqs   = maxOpenSeqs
	MaxQueue      = maxQueue
)

// The tree's hashes.
func LeafHash(line []byte) Hash      { return leafHash(line) }
func NodeHash(left, right Hash) Hash { return nodeHash(left, right) }

// A ReadLine is what eachRead hands on.
type ReadLine struct {
	Record     *Record
	Err        error
	Line       []byte
	Offset     int64
	Hash, Leaf Hash
}

func EachRead(ctx context.Context, r io.Reader, start int64, do func(ReadLine) error) error {
	return eachRead(ctx, r, start, func(l *readLine) error {
		return do(ReadLine{l.rec, l.err, l.line, l.offset, l.hash, l.leaf})
	})
}

func ScanLines(r io.Reader, do func(line []byte, offset int64) error) error {
	return scanLines(r, do)
}

var ErrUnterminated = errUnterminated

const (
	LongLine  = longLine
	ChunkSize = chunkSize
)

// The parts of text and times.
func PlainLen(s string) int                 { return plainLen(s) }
func PrintableLen(s string) int             { return printableLen(s) }
func FormatTime(t time.Time) string         { return string(appendTime(nil, t)) }
func ParseTime(s string) (time.Time, error) { return parseTime(s) }

func RedactTokens(s string) string { return redactTokens(s) }

// Line returns the line that a log would write for r as its second.
func Line(r *Record) ([]byte, error) {
	l := &Log{logID: strings.Repeat("a", 32), bootID: strings.Repeat("b", 32)}
	e, err := l.newEntry(r)
	if err != nil {
		return nil, err
	}
	return e.appendLine(nil, time.Unix(1e9, 0), Head{Seq: 1}), nil
}

// Pending is a record that was submitted and not yet waited for: the two halves
// of Begin, so that a test can put something between them.
type Pending struct {
	log   *Log
	entry *entry
}

func (l *Log) Submit(r *Record) (Pending, error) {
	e, err := l.submit(asked(r, Received))
	return Pending{l, e}, err
}

func (p Pending) Wait(ctx context.Context) error { return p.log.wait(ctx, p.entry) }

// Queued returns how many records wait in the queue.
func (l *Log) Queued() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}
