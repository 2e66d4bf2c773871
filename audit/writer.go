package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// A writer is what only the writing goroutine touches: the end of the chain and
// the file that it is in.
type writer struct {
	seg      *segment
	today    day    // of writing; it never goes back. seg may still be of an earlier one
	previous string // name of the day file before seg, "" if there is none
	anchor   int64  // offset in seg of the last lines that name the open requests
	head     Head
	tree     tree
	open     map[int64]struct{} // seqs of the requests that are not closed
	buf      []byte
	batch    []*entry
	next     tree   // the tree with the lines of buf
	made     Commit // what became of the batch that was written last

	wall  time.Time     // when the clock was read last
	mono  time.Duration // the same on the clock that is never set
	ticks int           // since the last checkpoint in the history
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
func (l *Log) commit(batch []*entry) {
	l.busy()
	now := l.Now()
	batch = l.withClockStep(batch, now)
	l.settle(batch, l.write(batch, now))
	l.tellCommit()
}

func (l *Log) write(batch []*entry, now time.Time) error {
	w := &l.writer
	w.made = Commit{}
	start, before := time.Now(), w.head.Seq
	if err := l.advance(now); err != nil {
		return err
	}
	if err := l.roll(); err != nil {
		return err
	}
	begun := w.seg.size == 0
	b := lineBuffer{buf: w.buf[:0], now: now, head: w.head, tree: w.next.copyOf(&w.tree)}
	anchors := begun || w.seg.size-w.anchor >= openEvery
	if anchors {
		for _, e := range l.openRecords(begun) {
			b.add(e)
		}
	}
	for _, e := range batch {
		b.add(e)
	}
	w.buf = b.buf[:0]
	at := w.seg.size
	if err := w.seg.write(b.buf, l.Durability == Fsync || begun); err != nil {
		return err
	}
	if begun {
		if err := l.dir.sync(); err != nil {
			return err
		}
	}
	if anchors {
		w.anchor = at
	}
	w.head = b.head
	w.tree, w.next = *b.tree, w.tree
	w.track(batch)
	w.made = Commit{Records: int(w.head.Seq - before), Duration: time.Since(start)}
	return nil
}

// A lineBuffer puts lines together that follow each other.
type lineBuffer struct {
	buf  []byte
	now  time.Time
	head Head
	tree *tree
}

// add writes the entry's line and gives the entry its seq.
func (b *lineBuffer) add(e *entry) {
	start := len(b.buf)
	b.buf = e.appendLine(b.buf, b.now, b.head)
	line := b.buf[start:]
	e.seq = b.head.Seq + 1
	b.head = Head{Seq: e.seq, Hash: HashLine(line)}
	b.tree.append(leafHash(line))
	b.buf = append(b.buf, '\n')
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

// advance goes on to another day: the history of the day before ends with a
// checkpoint of its last line. A clock that steps back does not bring a day back.
func (l *Log) advance(now time.Time) error {
	w, today := &l.writer, dayOf(now)
	if today <= w.today {
		return nil
	}
	if w.head.Seq > 0 { // else there is nothing to seal
		if err := l.sealNow(true); err != nil {
			return err
		}
	}
	w.today = today
	l.seal.turn(today)
	return nil
}

// roll begins a new day file when the day has changed.
func (l *Log) roll() error {
	w := &l.writer
	if w.seg != nil && w.seg.name >= w.today.fileName() {
		return nil
	}
	if w.seg != nil && w.seg.size == 0 {
		return w.rename(l)
	}
	if w.seg != nil { // a new file may only follow one that is sealed to its end
		if err := l.sealNow(false); err != nil {
			return err
		}
	}
	next, err := openSegment(l.dir, w.today.fileName(), true)
	if err != nil {
		return unlessNoRoom("beginning a day", err)
	}
	if w.seg != nil {
		w.previous = w.seg.name
		if err := w.seg.close(); err != nil {
			return errors.Join(fmt.Errorf("ending %s: %w", w.seg.name, err), next.close())
		}
	}
	w.seg, w.anchor = next, 0
	return nil
}

// rename gives a file into which no line of its day could be written the name
// of today. It does not overwrite: a file of that name is somebody's trail.
func (w *writer) rename(l *Log) error {
	fd, name := int(l.dir.dir.Fd()), w.today.fileName()
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
	w.seg.name = name
	return nil
}
