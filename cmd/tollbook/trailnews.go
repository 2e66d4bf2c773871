package main

import (
	"io"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// trailNews logs what the trail's writer tells, on a goroutine of its own: a log
// that nobody reads must not stop the trail. newTrailNews makes it; whoever has
// closed the trail closes it.
type trailNews struct {
	log     *zap.Logger
	anchor  *zap.Logger // for checkpoints
	states  chan error  // nil: the trail is available again
	notes   chan string // signed checkpoints
	dropped atomic.Int64
	ended   chan struct{} // closed when nothing more will be told
	done    chan struct{} // closed when all was logged
}

// Bounds of what waits to be logged.
const (
	maxNews   = 16          // of a kind: a quarter of an hour of checkpoints
	newsGrace = time.Second // for what is left at the end
)

func newTrailNews(log, anchor *zap.Logger) *trailNews {
	n := &trailNews{
		log: log, anchor: anchor, states: make(chan error, maxNews), notes: make(chan string, maxNews),
		ended: make(chan struct{}), done: make(chan struct{}),
	}
	go n.run()
	return n
}

// state takes that the trail can't be written, and that it can again. Like
// checkpoint it never waits for the log.
func (n *trailNews) state(err error) { tell(n, n.states, err) }

// checkpoint takes a signed checkpoint.
func (n *trailNews) checkpoint(note string) { tell(n, n.notes, note) }

// tell puts v into the queue. If that is full its oldest makes room: what is newest
// says most.
func tell[T any](n *trailNews, queue chan T, v T) {
	for {
		select {
		case queue <- v:
			return
		default:
		}
		select {
		case <-queue:
			n.dropped.Add(1)
		default:
		}
	}
}

func (n *trailNews) run() {
	defer close(n.done)
	for {
		select {
		case err := <-n.states:
			n.logState(err)
		case note := <-n.notes:
			n.logNote(note)
		case <-n.ended:
			n.rest()
			return
		}
	}
}

// rest logs what is left.
func (n *trailNews) rest() {
	for {
		select {
		case err := <-n.states:
			n.logState(err)
		case note := <-n.notes:
			n.logNote(note)
		default:
			return
		}
	}
}

// close waits a moment until all that was told is logged. If the log does not take
// it, the goroutine is left behind.
func (n *trailNews) close() error {
	close(n.ended)
	select {
	case <-n.done:
	case <-time.After(newsGrace):
	}
	return nil
}

func (n *trailNews) logState(err error) {
	if err != nil {
		n.write(n.log.Check(zap.ErrorLevel, "audit trail unavailable: requests are refused"), zap.Error(err))
		return
	}
	n.write(n.log.Check(zap.InfoLevel, "audit trail available"))
}

func (n *trailNews) logNote(note string) {
	n.write(n.anchor.Check(zap.InfoLevel, checkpointMessage), zap.String("note", note))
}

// checkpointMessage is what a log collector finds checkpoints by.
const checkpointMessage = "audit checkpoint"

// printCheckpoint is [audit.Config].OnCheckpoint of a command that writes the
// trail: a line as serve logs it.
func printCheckpoint(stderr io.Writer) func(note string) {
	log := newLogger(stderr, zap.InfoLevel)
	return func(note string) { log.Info(checkpointMessage, zap.String("note", note)) }
}

// write writes a line, and how many there is none of. A nil line is below the
// level.
func (n *trailNews) write(line *zapcore.CheckedEntry, fields ...zap.Field) {
	if line == nil {
		return
	}
	if dropped := n.dropped.Swap(0); dropped > 0 {
		fields = append(fields, zap.Int64("dropped", dropped))
	}
	line.Write(fields...)
}
