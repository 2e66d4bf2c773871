package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A writer is what only the writing goroutine touches: the end of the chain and
// the file that it is in.
type writer struct {
	seg      *segment
	day      day    // of seg; it never goes back
	previous string // name of the day file before seg, "" if there is none
	head     Head
	open     map[int64]struct{} // seqs of the requests that are not closed
	buf      []byte
	batch    []*entry
}

// run writes what is queued until the log is closed or has failed. Nothing
// lingers: what queued while a commit ran is the next commit.
func (l *Log) run() {
	defer close(l.stopped)
	ticks := l.ticks
	if ticks == nil {
		tick := time.NewTicker(tickEvery)
		defer tick.Stop()
		ticks = tick.C
	}
	for {
		if batch := l.take(); len(batch) > 0 {
			l.commit(batch)
			select {
			case <-ticks: // it is due under load too
				l.tick()
			default:
			}
			continue
		}
		select {
		case <-l.wake:
		case <-ticks:
			l.tick()
		case <-l.failed:
			<-l.stop // the folder stays locked until the process gives up
			l.closeErr = l.abandon()
			return
		case <-l.stop:
			l.closeErr = l.finish()
			return
		}
	}
}

// commit writes the batch as one: all of it is durable, or none of it counts.
func (l *Log) commit(batch []*entry) { l.settle(batch, l.write(batch)) }

func (l *Log) write(batch []*entry) error {
	w := &l.writer
	l.busy()
	now := l.Now()
	if err := l.roll(dayOf(now)); err != nil {
		return err
	}
	head, buf := w.head, w.buf[:0]
	begun := w.seg.size == 0
	if begun {
		for _, e := range l.dayRecords() {
			buf, head = appendTo(buf, e, now, head)
		}
	}
	for _, e := range batch {
		buf, head = appendTo(buf, e, now, head)
	}
	w.buf = buf[:0]
	if err := w.seg.write(buf, l.Durability == Fsync || begun); err != nil {
		return err
	}
	if begun {
		if err := l.dir.sync(); err != nil {
			return err
		}
	}
	w.head = head
	w.track(batch)
	return nil
}

// appendTo writes the entry's line, and returns the chain's new end.
func appendTo(buf []byte, e *entry, now time.Time, head Head) ([]byte, Head) {
	start := len(buf)
	buf = e.appendLine(buf, now, head)
	e.seq = head.Seq + 1
	head = Head{Seq: e.seq, Hash: HashLine(buf[start:])}
	return append(buf, '\n'), head
}

// track keeps the seqs of the requests that are open.
func (w *writer) track(batch []*entry) {
	for _, e := range batch {
		switch e.record.Phase {
		case Received:
			w.open[e.seq] = struct{}{}
		case Completed, Interrupted:
			delete(w.open, e.record.ReceivedSeq)
		}
	}
}

// roll begins a new day file when the day has changed. A clock that steps back
// does not go back to an older file.
func (l *Log) roll(today day) error {
	w := &l.writer
	if w.seg != nil && today <= w.day {
		return nil
	}
	if w.seg != nil && w.seg.size == 0 {
		return w.rename(l, today)
	}
	if w.seg != nil { // or a power cut could leave the new file and not the old one's end
		if err := w.seg.sync(); err != nil {
			return err
		}
	}
	next, err := openSegment(l.dir, today.fileName(), true, l.wrap)
	if err != nil {
		return unlessNoRoom("beginning a day", err)
	}
	if w.seg != nil {
		w.previous = w.seg.name
		if err := w.seg.close(); err != nil {
			return errors.Join(fmt.Errorf("ending %s: %w", w.seg.name, err), next.close())
		}
	}
	w.seg, w.day = next, today
	return nil
}

// rename gives a file into which no line of its day could be written the name
// of today. It does not overwrite: a file of that name is somebody's trail.
func (w *writer) rename(l *Log, today day) error {
	fd, name := int(l.dir.dir.Fd()), today.fileName()
	var there unix.Stat_t
	err := unix.Fstatat(fd, name, &there, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		err = fs.ErrExist
	}
	if errors.Is(err, unix.ENOENT) {
		err = unix.Renameat(fd, w.seg.name, fd, name)
	}
	if err != nil {
		return fmt.Errorf("renaming %s to %s: %w", w.seg.name, name, err)
	}
	w.seg.name, w.day = name, today
	return nil
}

func unlessNoRoom(doing string, err error) error {
	if roomError(err) {
		return fmt.Errorf("%s: %w: %w", doing, errNoRoom, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// maxOpenSeqs is how many seqs a `day` record can hold.
const maxOpenSeqs = 1000

// dayRecords makes the records that a day file begins with.
func (l *Log) dayRecords() []*entry {
	w := &l.writer
	open := slices.Sorted(maps.Keys(w.open))
	parts := max(1, (len(open)+maxOpenSeqs-1)/maxOpenSeqs)
	entries := make([]*entry, 0, parts)
	for part := range parts {
		some := open[part*maxOpenSeqs : min(len(open), (part+1)*maxOpenSeqs)]
		seqs := make([]Value, len(some))
		for i, seq := range some {
			seqs[i] = Int(seq)
		}
		before := Value{}
		if w.previous != "" {
			before = String(w.previous)
		}
		r := systemRecord("day", Object{
			{"file_before", before},
			{"open", List(seqs...)},
			{"part", Int(int64(part + 1))},
			{"parts", Int(int64(parts))},
			{"tree_size", Int(w.head.Seq)},
		})
		r.LogID, r.BootID = l.logID, l.bootID
		e := &entry{record: r}
		e.encode(r)
		entries = append(entries, e)
	}
	return entries
}

// tick does what is due once a second: it looks whether there is room again,
// writes what was only counted, and in durability OS makes the file durable.
func (l *Log) tick() {
	switch fault := l.faultNow(); {
	case l.hasFailed():
	case fault != nil:
		l.resume(fault)
	default:
		if batch := l.summaries(); len(batch) > 0 {
			l.commit(batch)
		}
		if l.faultNow() == nil {
			l.busy()
			l.settle(nil, l.writer.seg.sync())
		}
	}
}

// busy notes that the disk is waited for, until settle: a hang is to be seen
// whatever asked for the write.
func (l *Log) busy() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Now()
}

// resume tries to write again after the disk was full: a record of the fault
// itself. What could not be written follows it.
func (l *Log) resume(fault error) {
	e, err := l.newEntry(systemRecord("fault", Object{{"cause", String(fault.Error())}}))
	if err != nil {
		return
	}
	batch := []*entry{e}
	err = l.write(batch)
	if errors.Is(err, errNoRoom) {
		batch = nil // the fault is told once, when it is over
	}
	l.settle(batch, err)
}

// finish writes what is still to be written, and the `stop` record. Once the
// log has failed for good it writes nothing more.
func (l *Log) finish() error {
	if fault := l.faultNow(); fault != nil && !l.hasFailed() {
		l.resume(fault)
	}
	for batch := l.take(); len(batch) > 0; batch = l.take() {
		l.commit(batch)
	}
	if l.faultNow() == nil {
		stop, err := l.newEntry(systemRecord("stop", nil))
		if err != nil {
			return errors.Join(err, l.abandon())
		}
		l.commit(append(l.summaries(), stop))
	}
	if l.faultNow() != nil {
		return l.abandon()
	}
	return errors.Join(l.writer.seg.close(), l.dir.close())
}

// abandon gives the folder up and leaves the file as it is. It returns why.
func (l *Log) abandon() error {
	var left error
	if l.writer.seg != nil {
		left = l.writer.seg.abandon()
	}
	return errors.Join(l.faultNow(), left, l.dir.close())
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
