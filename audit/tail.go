package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
)

var errDamaged = errors.New("the trail is damaged and this is not what a crash leaves: verify it, " +
	"bring it back from a copy, or give it up with `tollbook audit quarantine`")

// maxTorn is how many bytes at most may be cut as torn: two commits.
const maxTorn = 2 * maxBatch

// A tail is the end of a log as start reads it: from the newest checkpoint on,
// and before that as far as is needed to know which requests are open.
type tail struct {
	*follower
	tree
	name    string // of the newest day file, "" if there is none
	covered int64  // up to here the lines of name are the checkpoint's
	good    int64  // offset in name after the last good line
	size    int64  // of name
	torn    error  // why what lies behind good is no good; nil if nothing does
	group   int64  // where the group begins that the last line is of
	limit   int64  // no line of name that begins here or later counts; -1: all do
	keys    ownKeys
}

// ownKeys are the encoded verifier keys that lines behind the newest checkpoint may
// speak of: nobody has signed them yet, and start is about to.
type ownKeys struct {
	inForce string
	next    string // while the key is rotated; "" otherwise
}

// check refuses a line that would hand the log over to a key of somebody else.
func (k ownKeys) check(r *Record) error {
	isNext := func(key string) bool { return k.next != "" && sameKey(key, k.next) }
	switch {
	case r.Phase != System:
		return nil
	case r.Reason == reasonRotated && !isNext(metaString(r, "to")):
		return errorf("a key_rotated record that rotate-key did not write")
	case r.Reason == reasonDay:
		if named := metaString(r, "verifier_key"); !sameKey(named, k.inForce) && !isNext(named) {
			return errorf("a day record that names another verifier key")
		}
	}
	return nil
}

// readTail reads the end of the log.
func readTail(dir *folder, found *inventory, c *Checkpoint, keys ownKeys) (*tail, error) {
	limit := int64(-1)
	for {
		t := &tail{follower: newFollower(), tree: *c.tree(), limit: limit, keys: keys}
		t.logID = c.LogID
		if err := t.read(dir, found, c); err != nil {
			return nil, err
		}
		if !t.withinGroup() {
			return t, t.findOpen(dir, found.days)
		}
		limit = t.group // which requests are open, only all parts of it say
	}
}

// read follows the lines from the checkpoint's anchor to the end.
func (t *tail) read(dir *folder, found *inventory, c *Checkpoint) error {
	newer := found.days
	for len(newer) > 0 && newer[0] <= c.File {
		newer = newer[1:]
	}
	older := len(found.days) - len(newer)
	switch there := older > 0 && found.days[older-1] == c.File; {
	case len(newer) > 1:
		return fmt.Errorf("%s begins after %s, where the newest checkpoint ends: %w", newer[1], c.File, errDamaged)
	case c.Size == 0 && older > 0 && !there:
		return fmt.Errorf("%s has lines that no checkpoint covers: %w", found.days[older-1], errDamaged)
	case c.Size > 0 && !there:
		return fmt.Errorf("%s, where the newest checkpoint ends, is missing: %w", c.File, errDamaged)
	case there:
		if err := t.readFile(dir, c, len(newer) > 0); err != nil {
			return err
		}
	}
	if len(newer) == 0 {
		return nil
	}
	return t.readNext(dir, newer[0])
}

// readFile reads the file in which the checkpoint ends. ended says that a later
// one exists, so that nothing may follow.
func (t *tail) readFile(dir *folder, c *Checkpoint, ended bool) error {
	f, err := dir.open(c.File, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if err != nil {
		return err
	}
	t.name, t.size, t.covered = c.File, size, c.Offset
	switch {
	case size < c.Offset:
		return fmt.Errorf("%s ends at byte %d, before the newest checkpoint's %d: %w", t.name, size,
			c.Offset, errDamaged)
	case ended && size > c.Offset:
		return fmt.Errorf("%s goes on behind the newest checkpoint (byte %d) and a later day file "+
			"exists: %w", t.name, c.Offset, errDamaged)
	case c.Offset > 0:
		if err := t.readCovered(f, c); err != nil {
			return err
		}
	}
	return t.lines(f, c.Offset, c.Offset == 0, "")
}

// readCovered reads lines that the checkpoint covers: the last ones, which must
// be those that were signed as far as whole subtrees show.
func (t *tail) readCovered(f *os.File, c *Checkpoint) error {
	anchor, err := findAnchor(f, c.Offset)
	if err != nil {
		return err
	}
	var leaves []Hash
	err = scanLines(io.NewSectionReader(f, anchor, c.Offset-anchor), func(line []byte, at int64) error {
		r, err := Parse(line)
		if err == nil {
			err = t.follow(r, HashLine(line), anchor+at == 0, "")
		}
		if err != nil {
			return fmt.Errorf("%s: byte %d (after seq %d): %w: %w", t.name, anchor+at, t.head.Seq, err, errDamaged)
		}
		leaves = append(leaves, leafHash(line))
		return nil
	})
	switch {
	case errors.Is(err, errUnterminated), err == nil && t.withinGroup():
		return fmt.Errorf("%s: no record ends at byte %d, where the newest checkpoint does: %w", t.name,
			c.Offset, errDamaged)
	case err != nil:
		return err
	case t.head.Seq != c.Size:
		return fmt.Errorf("%s: seq %d ends at byte %d, where the newest checkpoint has %d: %w", t.name,
			t.head.Seq, c.Offset, c.Size, errDamaged)
	case !t.endsWith(leaves):
		return fmt.Errorf("%s: the lines before byte %d (seq %d) are not those of the newest checkpoint: %w",
			t.name, c.Offset, t.head.Seq, errDamaged)
	}
	t.good = c.Offset
	return nil
}

// readNext reads the day file that was begun after the checkpoint.
func (t *tail) readNext(dir *folder, name string) error {
	f, err := dir.open(name, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	before := t.name
	t.name, t.covered, t.good = name, 0, 0
	if t.size, err = sizeOf(f); err != nil {
		return err
	}
	return t.lines(f, 0, true, before)
}

// lines follows the lines behind the checkpoint to the first bad byte. What a
// crash leaves are bytes that are no line; a line that does not follow from the
// one before it is damage.
func (t *tail) lines(f *os.File, from int64, firstOfFile bool, before string) error {
	t.good = from
	err := scanLines(io.NewSectionReader(f, from, t.size-from), func(line []byte, at int64) error {
		if at += from; at == t.limit {
			t.torn = errors.New("a record without its other parts")
			return errStop
		}
		r, err := Parse(line)
		if err != nil {
			t.torn = err
			return errStop
		}
		if within := t.withinGroup(); namesOpen(r) && !within {
			t.group = at
		}
		err = t.follow(r, HashLine(line), firstOfFile && at == from, before)
		if err == nil {
			err = t.keys.check(r)
		}
		if err != nil {
			return fmt.Errorf("%s: byte %d (after seq %d): %w: %w", t.name, at, t.head.Seq, err, errDamaged)
		}
		t.append(leafHash(line))
		t.good = at + int64(len(line)) + 1
		return nil
	})
	if errors.Is(err, errUnterminated) {
		t.torn, err = errors.New("a line without end"), nil
	}
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	if bad := t.size - t.good; t.torn != nil && bad > maxTorn {
		return fmt.Errorf("%s: byte %d (after seq %d): %w, and %d bytes follow, more than one run writes "+
			"at once: %w", t.name, t.good, t.head.Seq, t.torn, bad, errDamaged)
	}
	return nil
}

// errStop ends a scan that has seen enough.
var errStop = errors.New("stop")
