package audit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// recover finds the end of the log, repairs it if the last run died, and writes
// what this run has to say first. It ends with commits like any other, so that a
// run that dies in it leaves what the next start can read.
func (l *Log) recover() error {
	days, evidence, err := l.dir.list()
	if err != nil {
		return err
	}
	if len(days) == 0 && evidence {
		return fmt.Errorf("folder %q holds evidence of an earlier log but none of its day files: "+
			"bring them back, or name another folder", l.dir.path)
	}
	tail, err := l.readNewest(days)
	if err != nil {
		return err
	}
	first, err := l.repair(tail)
	if err != nil {
		return err
	}
	if err := l.adopt(tail); err != nil {
		return err
	}
	return l.commitNow(append(first, systemRecord("start", l.Start)))
}

// readNewest reads the newest day file. If a run died before it could write the
// first line of it, the file before has the end of the chain.
func (l *Log) readNewest(days []string) (*tail, error) {
	t := &tail{follower: newFollower()}
	if len(days) == 0 {
		return t, nil
	}
	newest := len(days) - 1
	if err := t.read(l.dir, days, newest); err != nil {
		return nil, err
	}
	if t.records == 0 && newest > 0 {
		before := &tail{follower: newFollower()}
		if err := before.read(l.dir, days, newest-1); err != nil {
			return nil, err
		}
		if before.torn != nil {
			return nil, fmt.Errorf("%s is damaged at byte %d and a later day file exists: %w",
				before.name, before.good, before.torn)
		}
		before.name, before.previous = t.name, days[newest-1]
		before.good, before.size, before.torn, before.data = 0, t.size, t.torn, t.data
		t = before
	}
	return t, t.findOpen(l.dir, days)
}

// repair makes the file that is kept what the lines say, and returns the records
// that tell of it.
func (l *Log) repair(t *tail) ([]*Record, error) {
	var first []*Record
	if t.size > t.good {
		cut, err := l.cut(t)
		if err != nil {
			return nil, err
		}
		first = append(first, cut)
	}
	if t.unclean() {
		if err := l.rewrite(t); err != nil {
			return nil, err
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(t.open)) {
		first = append(first, interrupted(t.open[seq], seq))
	}
	return first, nil
}

// unclean reports whether the last run ended without its `stop` record.
func (t *tail) unclean() bool {
	return t.last != nil && (t.last.Phase != System || t.last.Reason != "stop")
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

// adopt takes the end of the chain over, and the newest day file.
func (l *Log) adopt(t *tail) (err error) {
	l.logID = t.logID
	if l.logID == "" {
		l.logID = newID()
	}
	l.head = t.head
	l.writer = writer{head: t.head, previous: t.previous, open: make(map[int64]struct{})}
	for seq := range t.open {
		l.writer.open[seq] = struct{}{}
	}
	if t.name != "" {
		l.writer.day = dayOfFile(t.name)
		l.writer.seg, err = openSegment(l.dir, t.name, false, l.wrap)
	}
	return err
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

// A tail is the newest day file as start reads it.
type tail struct {
	*follower
	name     string
	previous string // name of the day file before, "" if there is none
	data     []byte // the file's bytes
	good     int64  // offset after the last good line
	size     int64
	torn     error // why what lies behind is no good; nil if nothing does
}

// findOpen looks up the requests that were open when the day began, in the files
// before it.
func (t *tail) findOpen(dir *folder, days []string) error {
	missing := 0
	for _, received := range t.open {
		if received == nil {
			missing++
		}
	}
	for i := len(days) - 1; i >= 0 && missing > 0; i-- {
		if days[i] >= t.name {
			continue
		}
		err := eachLine(dir, days[i], func(line []byte, _ int64) error {
			r, err := Parse(line)
			if err != nil {
				return err
			}
			if received, isOpen := t.open[r.Seq]; isOpen && received == nil && r.Phase == Received {
				t.open[r.Seq] = r
				missing--
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", days[i], err)
		}
	}
	return nil
}

var errDamaged = errors.New("the trail is damaged and this is not what a crash leaves")
