package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
)

// historyTail is how many bytes of the newest file of checkpoints start reads: some
// notes, however many there are.
const historyTail = 4 * maxNote

// A history is the newest file of checkpoints as start reads it.
type history struct {
	name string // "" if there is none
	good int64  // offset after the last whole note
	size int64
	torn error // why what lies behind is no good; nil if nothing does
	last []byte
}

// readHistory reads the newest file of checkpoints. Its last note may be torn;
// it may not be of a larger tree than the newest checkpoint, which is written
// first: then that was put back.
func (l *Log) readHistory(found *inventory, newest *Checkpoint) (*history, error) {
	h := new(history)
	if len(found.histories) == 0 {
		return h, nil
	}
	h.name = found.histories[len(found.histories)-1]
	if err := h.read(l.dir, newest); err != nil {
		return nil, err
	}
	if h.last == nil {
		return h, nil
	}
	key, err := parseVerifierKey(l.verifierKey)
	if err != nil {
		return nil, err
	}
	c, _, err := openNote(h.last, key)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: the last checkpoint: %w: %w", h.name, err, errDamaged)
	case c.LogID != newest.LogID:
		return nil, fmt.Errorf("%s is of another log (%s): %w", h.name, c.LogID, errDamaged)
	case c.Size > newest.Size:
		return nil, fmt.Errorf("%s knows of %d lines and %s of %d: an older folder was put back: %w",
			h.name, c.Size, checkpointName, newest.Size, errDamaged)
	}
	return h, nil
}

func (h *history) read(dir *folder, newest *Checkpoint) error {
	f, err := dir.open(h.name, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if h.size, err = sizeOf(f); err != nil {
		return err
	}
	from := max(0, h.size-historyTail)
	data, err := readAt(f, from, h.size)
	if err != nil {
		return err
	}
	if from > 0 { // behind the first separator, which no note holds
		behind := bytes.Index(data, []byte("\n\n"+AnyLog+"/"))
		if behind < 0 {
			return fmt.Errorf("%s: no checkpoint in its last %d bytes: %w", h.name, historyTail, errDamaged)
		}
		from += int64(behind) + 2
		data = data[behind+2:]
	}
	h.good = from
	h.torn = scanNotes(bytes.NewReader(data), func(msg []byte, end int64) error {
		if _, err := newMark(msg, h.name); err != nil {
			return err
		}
		_, err := note.Open(msg, note.VerifierList())
		if _, whole := errors.AsType[*note.UnverifiedNoteError](err); !whole {
			return errors.New("a signature that is none") // a page of it was lost
		}
		h.good, h.last = from+end, bytes.Clone(msg)
		return nil
	})
	if bad := h.size - h.good; h.torn != nil && bad > 2*(int64(len(newest.Text()))+maxSignatures) {
		return fmt.Errorf("%s: byte %d: %w, and %d bytes follow, more than a torn checkpoint: %w", h.name,
			h.good, h.torn, bad, errDamaged)
	}
	return nil
}

// maxSignatures is how long the signatures of a checkpoint are at the most, two of
// 139 bytes, with what separates notes. One note is torn at the most, that of the
// newest checkpoint: each is durable before the next is written. NULs in its place
// look like more signatures of the note before it.
const maxSignatures = 300

// cut returns what is torn, nil if nothing is.
func (h *history) cut() *cut {
	if h.size <= h.good {
		return nil
	}
	return &cut{h.name, h.good, h.size, h.torn}
}
