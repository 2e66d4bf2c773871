package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
)

// A trust knows which key must have signed a checkpoint. The trail itself names
// its key in each `day` record; a key hands over to the next by a checkpoint that
// both have signed, behind a `key_rotated` record.
type trust struct {
	logID   string
	current string   // encoded; "" before any line
	next    []string // named by key_rotated records and not yet in force
	signed  []string // every key that has signed a checkpoint
}

// from verifies the checkpoint to begin at with the key that is given, or with
// the one that the first day file names.
func (t *trust) from(msg []byte, key string, dir *folder, days []string) (*Checkpoint, error) {
	m, err := newMark(msg, "")
	if err != nil {
		return nil, err
	}
	t.logID = m.LogID
	if t.current = key; key != "" && t.check(m) == nil {
		return m.Checkpoint, nil
	}
	at, _ := slices.BinarySearch(days, m.File) // the one given may follow later
	if at == len(days) {
		return nil, fmt.Errorf("no day file from %s on is there", m.File)
	}
	if t.current, err = keyOfDay(dir, days[at]); err != nil {
		return nil, err
	}
	return m.Checkpoint, t.check(m)
}

// keyOfDay returns the verifier key that a day file names in its first line.
func keyOfDay(dir *folder, name string) (string, error) {
	f, err := dir.open(name, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if err != nil {
		return "", err
	}
	data, err := readAt(f, 0, min(size, MaxLine))
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	r, err := Parse(line)
	if err != nil {
		return "", fmt.Errorf("%s: line 1: %w", name, err)
	}
	return metaString(r, "verifier_key"), nil
}

// read learns what a record says of keys.
func (t *trust) read(r *Record) error {
	if r.Phase != System {
		return nil
	}
	switch r.Reason {
	case reasonDay:
		t.logID = r.LogID
		named := metaString(r, "verifier_key")
		if !keyOfLog(named, r.LogID) {
			return errorf("the day record names no verifier key of this log")
		}
		if t.current == "" {
			t.current = named
		}
		if !sameKey(named, t.current) {
			return errorf("the day record names another verifier key than the one in force")
		}
	case reasonRotated:
		if !sameKey(metaString(r, "from"), t.current) {
			return errorf("the key_rotated record replaces another key than the one in force")
		}
		to := metaString(r, "to")
		if !keyOfLog(to, r.LogID) {
			return errorf("the key_rotated record names no verifier key of this log")
		}
		if !slices.Contains(t.next, to) {
			t.next = append(t.next, to)
		}
	}
	return nil
}

// keyOfLog reports whether key is an encoded verifier key under the log's name.
func keyOfLog(key, logID string) bool {
	k, err := parseVerifierKey(key)
	return err == nil && k.name == origin(logID)
}

func sameKey(a, b string) bool {
	k, err := parseVerifierKey(b)
	return err == nil && sameKeys(a, k)
}

func sameKeys(a string, b verifierKey) bool {
	k, err := parseVerifierKey(a)
	return err == nil && k.same(b)
}

// check verifies the signatures of a checkpoint: that of the key in force, and,
// where it hands over, that of the next too.
func (t *trust) check(m *mark) error {
	current, err := parseVerifierKey(t.current)
	if err != nil {
		return errors.New("no record names the key that signed it: give the verifier key")
	}
	keys := []verifierKey{current}
	for _, next := range t.next {
		k, err := parseVerifierKey(next)
		if err != nil {
			return errorf("the key_rotated record names no verifier key")
		}
		keys = append(keys, k)
	}
	for _, old := range t.signed {
		k, _ := parseVerifierKey(old)
		keys = append(keys, k)
	}
	_, by, err := openNote(m.msg, keys...)
	switch {
	case err != nil:
		return err
	case m.where == "": // it may be of a time before a hand-over
		return nil
	case countSignatures(m.msg) != len(by):
		return errors.New("it has a signature of another key")
	case !slices.ContainsFunc(by, current.same):
		return errors.New("the key in force has not signed it")
	}
	return t.handOver(current, by)
}

// handOver notes who has signed, and which key is in force from now on: one that
// a record names and that has signed beside the one before it.
func (t *trust) handOver(current verifierKey, by []verifierKey) error {
	t.sign(t.current)
	for _, k := range by {
		is := func(key string) bool { return sameKeys(key, k) }
		next := slices.IndexFunc(t.next, is)
		switch {
		case k.same(current):
		case next >= 0: // it may have been in force before
			t.current, t.next = t.next[next], nil
			t.sign(t.current)
		case !slices.ContainsFunc(t.signed, is):
			return errors.New("it is signed with a key that no key_rotated record names")
		}
	}
	return nil
}

func (t *trust) sign(key string) {
	if !slices.Contains(t.signed, key) {
		t.signed = append(t.signed, key)
	}
}

// attested checks that the key from elsewhere, if there is one, is one of those
// that have signed.
func (t *trust) attested(key string) error {
	if k, err := parseVerifierKey(key); err == nil && k.name != AnyLog && k.name != origin(t.logID) {
		return &VerifyError{File: checkpointName, Err: errors.New("the key that was given is that of another log")}
	}
	if key == "" || slices.ContainsFunc(t.signed, func(s string) bool { return sameKey(s, key) }) {
		return nil
	}
	return &VerifyError{File: checkpointName, Err: fmt.Errorf("no checkpoint is signed with the key that was "+
		"given; they are with %s", t.current)}
}
