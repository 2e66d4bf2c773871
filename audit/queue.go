package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// An entry is a record on its way to the disk.
type entry struct {
	draft
	record *Record
	done   chan struct{} // closed when seq and err are set
	seq    int64
	err    error
	state  entryState // with Log.mu held
	// waited says that somebody's reply depends on it; withheld, that this
	// somebody gave up or was told of a failure.
	waited, withheld bool
	gaveUp           string // the reason why, of a withheld received record
}

type entryState uint8

const (
	queued    entryState = iota // in the queue
	withdrawn                   // in the queue, not to be written
	taken                       // the writer has it
	settled                     // done is closed
)

var errTooLong = fmt.Errorf("%w: a record does not fit its line", ErrUnavailable)

// newEntry completes and encodes the record: the caller's part of the work.
func (l *Log) newEntry(r *Record) (*entry, error) {
	r.LogID, r.BootID = l.logID, l.bootID
	if err := r.coherent(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.redact()
	r.attribute()
	e := &entry{record: r, done: make(chan struct{})}
	e.encode(r)
	if e.maxLen() > MaxLine && !e.fit(r) {
		return nil, errTooLong
	}
	return e, nil
}

// submit queues the record for the next commit.
func (l *Log) submit(r *Record) (*entry, error) {
	e, err := l.newEntry(r)
	if err != nil {
		return nil, err
	}
	e.waited = true
	l.mu.Lock()
	defer l.mu.Unlock()
	err = l.unavailable()
	if r.Phase == Received {
		err = l.closed()
	}
	if err != nil {
		if !l.broken && !l.closing && r.Phase != Received {
			l.retryLater(e)
		}
		return nil, err
	}
	if err := l.enqueue(e); err != nil {
		return nil, err
	}
	return e, nil
}

// enqueue puts the entry into the queue, with the lock held.
func (l *Log) enqueue(e *entry) error {
	// What closes a request is bounded by the requests that were let in.
	if len(l.queue) >= maxQueue && e.record.Phase != Completed {
		return fmt.Errorf("%w: %d records wait for the disk", ErrUnavailable, len(l.queue))
	}
	l.queue = append(l.queue, e)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

// retryLater keeps a record that must be written once the disk takes it.
func (l *Log) retryLater(e *entry) {
	again := &entry{draft: e.draft, record: e.record, done: make(chan struct{})}
	again.withheld = e.waited || e.withheld
	l.retry = append(l.retry, again)
}

// wait returns when the entry is written, or after MaxWait, or when ctx ends. A
// waiter that gives up withdraws its record; if the writer has it already, the
// record that follows says that nothing came of it.
func (l *Log) wait(ctx context.Context, e *entry) error {
	timer := time.NewTimer(l.MaxWait)
	defer timer.Stop()
	select {
	case <-e.done:
		return e.err
	case <-timer.C:
		late := fmt.Errorf("%w: not on disk after %s", ErrUnavailable, l.MaxWait)
		return l.giveUp(e, late, reasonUnavailable)
	case <-ctx.Done():
		return l.giveUp(e, context.Cause(ctx), reasonAborted)
	}
}

func (l *Log) giveUp(e *entry, cause error, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case e.state == settled:
		return e.err
	case e.state == queued && e.record.Phase == Received:
		e.state = withdrawn
	case e.record.Phase == Received:
		e.withheld, e.gaveUp = true, reason
		return fmt.Errorf("%w: %w", cause, ErrTaken)
	default:
		e.withheld = true // an outcome is true whoever waits for it
	}
	return cause
}

// take moves what is queued into a batch of at most maxBatch bytes, what could
// not be written before first.
func (l *Log) take() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault != nil {
		return nil
	}
	if len(l.retry) > 0 {
		l.queue, l.retry = append(l.retry, l.queue...), nil
	}
	batch := l.writer.batch[:0]
	n, size := 0, 0
	for _, e := range l.queue {
		if size > 0 && size+e.maxLen() > maxBatch {
			break
		}
		n++
		if e.state == withdrawn {
			continue
		}
		e.state = taken
		size += e.maxLen()
		batch = append(batch, e)
	}
	rest := copy(l.queue, l.queue[n:])
	clear(l.queue[rest:])
	l.queue = l.queue[:rest]
	l.writer.batch = batch
	return batch
}

// settle tells each of the batch what became of it, and queues the records that
// this makes necessary.
func (l *Log) settle(batch []*entry, err error) {
	l.mu.Lock()
	before := l.stateOf()
	l.settleAll(batch, err)
	after := l.stateOf()
	l.mu.Unlock()
	l.tellState(before, after)
}

// stateOf says why no new request is taken, for OnState, with the lock held.
func (l *Log) stateOf() error { return cmp.Or(l.fault, l.low) }

func (l *Log) tellState(before, after error) {
	if (before == nil) != (after == nil) && l.OnState != nil {
		l.OnState(after)
	}
}

func (l *Log) settleAll(batch []*entry, err error) {
	l.since = time.Time{}
	l.fault = err
	if err != nil && !errors.Is(err, errNoRoom) && !l.broken {
		l.broken = true
		close(l.failed)
	}
	for _, e := range batch {
		l.settleOne(e, err)
	}
	if err == nil {
		l.head = l.writer.head
	}
	switch {
	case l.broken:
		l.failQueue()
	case err != nil:
		l.refuseQueued()
	}
}

func (l *Log) settleOne(e *entry, err error) {
	e.state = settled
	if err != nil {
		e.err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		l.keepFailed(e)
	} else if e.withheld {
		l.followUp(e)
	}
	close(e.done)
}

// keepFailed keeps what must not be lost of a batch that was not written.
func (l *Log) keepFailed(e *entry) {
	switch {
	case e.record.Phase == Received:
		if e.withheld { // its caller was told that it need not refuse
			l.refusals.count(&Record{
				EventType: e.record.EventType, Reason: e.gaveUp, IPAddress: e.record.IPAddress,
			}, l.Now())
		}
	case e.record.Phase == Refused && e.record.Reason != reasonSummary:
		l.refusals.count(e.record, l.Now())
	default:
		l.retryLater(e)
	}
}

// followUp queues what must be said after a record for which nobody waits any
// more.
func (l *Log) followUp(e *entry) {
	var r *Record
	switch e.record.Phase {
	case Received:
		r = notForwarded(e.record, e.seq, e.gaveUp)
	case Completed:
		r = systemRecord("reply_withheld", Object{{"seq", Int(e.seq)}})
	default:
		return
	}
	if follow, err := l.newEntry(r); err == nil { // its parts were on a line before
		l.retryLater(follow)
	}
}

// refuseQueued settles the requests that wait to be recorded while there is no
// room: they need not wait to be refused.
func (l *Log) refuseQueued() {
	l.queue = slices.DeleteFunc(l.queue, func(e *entry) bool {
		if e.record.Phase != Received {
			return false
		}
		if e.state == queued {
			e.state = settled
			e.err = fmt.Errorf("%w: %w", ErrUnavailable, l.fault)
			close(e.done)
		}
		return true
	})
}

// failQueue settles everything that waits, once the trail has failed for good.
func (l *Log) failQueue() {
	for _, e := range l.queue {
		if e.state == queued {
			e.state = settled
			e.err = fmt.Errorf("%w: %w", ErrUnavailable, l.fault)
			close(e.done)
		}
	}
	l.queue, l.retry = nil, nil
}
