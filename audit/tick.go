package audit

import (
	"errors"
	"fmt"
	"time"
)

// noteTicks is how many ticks lie between two checkpoints in the history: a
// minute.
const noteTicks = 60

// tick does what is due once a second: it looks whether there is room again,
// writes what was only counted, makes the file durable, and signs a checkpoint
// of it; once a minute, idle or not, that goes into the history too.
func (l *Log) tick() {
	l.writer.ticks++
	switch fault := l.faultNow(); {
	case l.hasFailed():
	case fault != nil:
		l.resume(fault)
	default:
		l.busy()
		l.lookForRoom()
		if batch := l.withClockStep(l.summaries(), l.Now()); len(batch) > 0 {
			l.commit(batch)
		}
		if l.faultNow() == nil {
			l.busy()
			l.settle(nil, l.sealDue())
		}
	}
}

// sealDue makes the lines durable and writes the checkpoint that is due.
func (l *Log) sealDue() error {
	if err := l.advance(l.Now()); err != nil {
		return err
	}
	return l.sealNow(l.writer.ticks >= noteTicks)
}

// sealNow makes the lines durable and signs a checkpoint of them, unless the
// newest says the same already. noted says that one must go into the history.
func (l *Log) sealNow(noted bool) error {
	w := &l.writer
	if err := w.seg.sync(); err != nil {
		return err
	}
	c := &Checkpoint{
		LogID: l.logID, Size: w.head.Seq, Root: w.tree.root(), Time: l.Now(),
		File: w.seg.name, Offset: w.seg.size, Edge: append([]Hash(nil), w.tree.edge...),
	}
	if w.seg.size == 0 { // the last line is in the file before
		c.File, c.Offset = l.seal.last.File, l.seal.last.Offset
	}
	if !noted && l.seal.last.same(c) {
		return nil
	}
	msg, err := l.seal.newest(c, l.signers()...)
	if err != nil || !noted {
		return err
	}
	if err := l.seal.note(msg); err != nil {
		return err
	}
	w.ticks = 0
	if l.OnCheckpoint != nil {
		l.OnCheckpoint(string(msg))
	}
	return nil
}

// withClockStep puts a record before the batch if the clock was set since it was
// read last: seen by the clock that nobody sets.
func (l *Log) withClockStep(batch []*entry, now time.Time) []*entry {
	w, mono := &l.writer, l.monotonic()
	expected := w.wall.Add(mono - w.mono)
	step := now.Round(0).Sub(expected.Round(0))
	w.wall, w.mono = now, mono
	if step.Abs() < clockTolerance {
		return batch
	}
	e, err := l.newEntry(clockStep(expected, now, step))
	if err != nil {
		return batch
	}
	return append([]*entry{e}, batch...)
}

// clockTolerance is the least step of the clock that is recorded.
const clockTolerance = time.Second

func clockStep(expected, now time.Time, step time.Duration) *Record {
	return systemRecord("clock_step", Object{
		{"expected", String(string(appendTime(nil, expected)))},
		{"found", String(string(appendTime(nil, now)))},
		{"step_us", Int(step.Microseconds())},
	})
}

// busy notes that the disk is waited for, until settle: a hang is to be seen
// whatever asked for the write.
func (l *Log) busy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Now()
}

// lookForRoom finds out whether so little room is left that new requests must be
// refused: what they have begun must still be closed.
func (l *Log) lookForRoom() {
	free, err := l.freeBytes(l.dir)
	var low error
	switch {
	case l.MinFree <= 0:
	case err != nil:
		low = fmt.Errorf("asking for free space: %w", err)
	case free < l.MinFree:
		low = fmt.Errorf("%d MiB are free in folder %q, less than %d MiB: make room", free>>20, l.dir.path,
			l.MinFree>>20)
	}
	l.mu.Lock()
	before := l.stateOf()
	l.low, l.free = low, free
	if err != nil {
		l.free = -1
	}
	after := l.stateOf()
	l.mu.Unlock()
	l.tellState(before, after)
}

// resume tries to write again after the disk was full: a record of the fault
// itself. What could not be written follows it. Too little room for new requests
// may be enough for that.
func (l *Log) resume(fault error) {
	l.busy()
	l.lookForRoom()
	if err := l.sealDue(); err != nil { // or each try would only use the room up
		if errors.Is(err, errNoRoom) {
			err = fault
		}
		l.settle(nil, err)
		return
	}
	e, err := l.newEntry(systemRecord("fault", Object{{"cause", String(fault.Error())}}))
	if err != nil {
		l.settle(nil, fault)
		return
	}
	batch := []*entry{e}
	err = l.write(batch, l.Now())
	if errors.Is(err, errNoRoom) {
		batch = nil // the fault is told once, when it is over
	}
	l.settle(batch, err)
	l.tellCommit()
}

// finish writes what is still to be written, the `stop` record, and the last
// checkpoint. Once the log has failed for good it writes nothing more.
func (l *Log) finish() error {
	if fault := l.faultNow(); fault != nil && !l.hasFailed() {
		l.resume(fault)
	}
	for batch := l.take(); len(batch) > 0; batch = l.take() {
		l.commit(batch)
	}
	if l.faultNow() == nil {
		stop, err := l.newEntry(systemRecord(reasonStop, nil))
		if err != nil {
			return errors.Join(err, l.abandon())
		}
		l.commit(append(l.summaries(), stop))
	}
	if l.faultNow() == nil {
		l.busy()
		l.settle(nil, l.sealNow(true))
	}
	if l.faultNow() != nil {
		return l.abandon()
	}
	return errors.Join(l.closeFile(), l.dir.close())
}

// closeFile closes the day file. One into which no line could be written is no day.
func (l *Log) closeFile() error {
	seg := l.writer.seg
	if err := seg.close(); err != nil || seg.size > 0 {
		return err
	}
	return errors.Join(l.dir.remove(seg.name), l.dir.sync())
}

// abandon gives the folder up and leaves the file as it is. It returns why.
func (l *Log) abandon() error { return errors.Join(l.faultNow(), l.release()) }

// release gives the folder up and leaves the file as it is.
func (l *Log) release() error {
	var left error
	if l.writer.seg != nil {
		left = l.writer.seg.abandon()
	}
	return errors.Join(left, l.dir.close())
}

func (l *Log) hasFailed() bool {
	select {
	case <-l.failed:
		return true
	default:
		return false
	}
}

// faultNow says why the last commit failed, nil if it did not.
func (l *Log) faultNow() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}
