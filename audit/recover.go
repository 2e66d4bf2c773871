package audit

import (
	"maps"
	"slices"
)

// recover finds the end of the log, repairs it if the last run died, and writes
// what this run has to say first. It ends with commits like any other, so that a
// run that dies in it leaves what the next start can read.
func (l *Log) recover() error {
	found, err := l.dir.inventory()
	if err != nil {
		return err
	}
	newest, err := l.identify(found)
	if err != nil {
		return err
	}
	h, err := l.readHistory(found, newest)
	if err != nil {
		return err
	}
	t, err := readTail(l.dir, found, newest, l.ownKeys())
	if err != nil {
		return err
	}
	first, err := l.repair(t, h)
	if err != nil {
		return err
	}
	if err := l.takeOver(t, h, found); err != nil {
		return err
	}
	if t.head.Seq == 0 {
		first = append(first, l.successor(found)...)
	}
	if step := l.steppedBack(t); step != nil {
		first = append(first, step)
	}
	unsigned := Object{{metaUnsigned, Int(t.head.Seq - newest.Size)}}
	first = append(first, systemRecord(reasonStart, l.Start.with(unsigned)))
	if err := l.commitNow(first); err != nil {
		return err
	}
	l.writer.anchor = l.writer.seg.size // nothing is open
	return l.sealNow(false)
}

// metaUnsigned is the member of a `start` record's metadata that tells how many
// lines before it no checkpoint covered: whoever could write the folder while
// nobody had it open could have written them.
const metaUnsigned = "unsigned"

// ownKeys are the keys that the lines which start is about to sign may speak of.
func (l *Log) ownKeys() ownKeys {
	k := ownKeys{inForce: l.verifierKey}
	if !l.pending.none() {
		k.next = l.pending.verifierKey(origin(l.logID))
	}
	return k
}

// repair makes the files that are kept what their lines say, and returns the
// records that tell of it.
func (l *Log) repair(t *tail, h *history) ([]*Record, error) {
	first, err := l.untold(t)
	if err != nil {
		return nil, err
	}
	for _, c := range []*cut{h.cut(), t.cut()} {
		if c == nil {
			continue
		}
		r, err := l.cut(c)
		if err != nil {
			return nil, err
		}
		first = append(first, r)
	}
	for _, r := range []rewrite{{t.name, t.covered, t.good}, {h.name, h.good - int64(len(h.last)), h.good}} {
		if err := l.rewrite(r); err != nil {
			return nil, err
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(t.open)) {
		first = append(first, interrupted(t.open[seq], seq))
	}
	return first, nil
}

// interrupted closes a request that a run left open. Of one whose own record was
// moved away only the seq is known.
func interrupted(received *Record, seq int64) *Record {
	if received == nil {
		received = &Record{EventType: EventRequest}
	}
	r := closeOf(received, seq, Interrupted)
	r.Derived = true
	return r
}

// steppedBack tells that the clock is behind what the last run wrote.
func (l *Log) steppedBack(t *tail) *Record {
	if t.last == nil {
		return nil
	}
	now := l.Now()
	if step := now.Sub(t.last.Timestamp); step <= -clockTolerance {
		return clockStep(t.last.Timestamp, now, step)
	}
	return nil
}

// takeOver goes on with the end of the chain, the tree, and the newest files.
func (l *Log) takeOver(t *tail, h *history, found *inventory) (err error) {
	l.head = t.head
	l.writer = writer{
		head: t.head, tree: t.tree, open: make(map[int64]struct{}), today: dayOf(l.Now()),
		wall: l.Now(), mono: l.monotonic(),
	}
	w := &l.writer
	for seq := range t.open {
		w.open[seq] = struct{}{}
	}
	l.seal.day, l.seal.made, l.seal.size = w.today, false, 0
	if t.name != "" {
		w.today = dayOfFile(t.name)
		w.previous = found.before(t.name)
		if w.seg, err = openSegment(l.dir, t.name, false); err != nil {
			return err
		}
		w.anchor = w.seg.size
	}
	if t.name == "" { // the clock may have been set back since the log was begun
		w.today = max(w.today, dayOfFile(l.seal.last.File))
	}
	if h.name != "" {
		w.today = max(w.today, dayOfHistory(h.name))
	}
	if l.seal.day = w.today; h.name == w.today.historyName() {
		l.seal.made, l.seal.size = true, h.good
	}
	return nil
}

// commitNow writes the records while no writer runs yet, in commits of the usual
// size.
func (l *Log) commitNow(records []*Record) error {
	for _, r := range records {
		e, err := l.newEntry(r)
		if err != nil {
			return err
		}
		l.retry = append(l.retry, e)
	}
	for batch := l.take(); len(batch) > 0; batch = l.take() {
		l.commit(batch)
	}
	return l.faultNow()
}
