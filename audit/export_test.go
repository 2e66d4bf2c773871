package audit

import (
	"context"
	"strings"
	"time"
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

func LeafHash(line []byte) Hash { return leafHash(line) }

func NodeHash(left, right Hash) Hash { return nodeHash(left, right) }
