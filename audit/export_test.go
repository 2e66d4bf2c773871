package audit

import (
	"context"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// The seams: see Config.
type File = file

func WithWrap(cfg Config, wrap func(name string, f File) File) Config {
	cfg.wrap = wrap
	return cfg
}

func WithFolderSync(cfg Config, wrap func(sync func() error) func() error) Config {
	cfg.wrapSync = wrap
	return cfg
}

func WithMonotonic(cfg Config, monotonic func() time.Duration) Config {
	cfg.monotonic = monotonic
	return cfg
}

func WithFreeBytes(cfg Config, free func() (int64, error)) Config {
	cfg.freeBytes = func(*folder) (int64, error) { return free() }
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
func LeafHash(line []byte) Hash { return leafHash(line) }

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

const NoteTicks = noteTicks

// A Tree is a tree with its parts in the open.
type Tree struct{ tree }

func (t *Tree) Append(leaf Hash, made func(level int, index int64, node Hash)) {
	t.appendNodes(leaf, made)
}

func (t *Tree) Nodes(made func(level int, index int64, node Hash)) { t.nodes(made) }

func (t *Tree) Size() int64 { return t.size }

func (t *Tree) Edge() []Hash { return append([]Hash(nil), t.edge...) }

func (t *Tree) Root() Hash { return t.root() }

func (t *Tree) EndsWith(leaves []Hash) bool { return t.endsWith(leaves) }

// Rooted returns the checkpoint with the root of its edge.
func Rooted(c Checkpoint) *Checkpoint {
	c.Root = c.tree().root()
	return &c
}

// Sign returns the checkpoint signed by each of the keys.
func Sign(c *Checkpoint, keys ...SigningKey) []byte {
	signers := make([]note.Signer, len(keys))
	for i, k := range keys {
		var err error
		if signers[i], err = k.signer(c.LogID); err != nil {
			panic(err)
		}
	}
	msg, err := c.sign(signers)
	if err != nil {
		panic(err)
	}
	return msg
}

// OpenNote verifies a signed checkpoint, and returns how many of the keys have
// signed it.
func OpenNote(msg []byte, keys ...string) (*Checkpoint, int, error) {
	known := make([]verifierKey, len(keys))
	for i, k := range keys {
		var err error
		if known[i], err = parseVerifierKey(k); err != nil {
			return nil, 0, err
		}
	}
	c, by, err := openNote(msg, known...)
	return c, len(by), err
}

// TornHistory reads a file of checkpoints as a start does whose newest checkpoint
// is this, and returns how much of it is good.
func TornHistory(dir, name string, newest *Checkpoint) (good int64, err error) {
	d, err := openForReading(dir)
	if err != nil {
		return 0, err
	}
	defer d.close()
	h := &history{name: name}
	err = h.read(d, newest)
	return h.good, err
}
