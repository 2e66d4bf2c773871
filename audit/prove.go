package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A ProveConfig says how to read a trail to prove something of it.
type ProveConfig struct {
	// From is a signed checkpoint of the log, when the days before it were moved
	// away; what is proved must lie behind it.
	From []byte
	// Progress is called now and then with how many bytes of how many were
	// read. May be nil.
	Progress func(done, total int64)
}

// Prove returns the proof that the record of this seq is in the log that the
// newest checkpoint of dir is of. It reads the whole trail, and holds it to the
// checkpoint; it verifies no signature.
func Prove(ctx context.Context, dir string, seq int64, cfg ProveConfig) (*Proof, error) {
	w, err := openWalk(ctx, dir, cfg)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer w.dir.close()
	if seq < 1 || seq > w.newest.Size {
		return nil, fmt.Errorf("audit: no checkpoint covers seq %d yet: the newest is of %d lines", seq, w.newest.Size)
	}
	p := &Proof{Index: seq - 1, Note: w.msg}
	needed := make(hashMap)
	if _, err := tlog.ProveRecord(w.newest.Size, p.Index, needed); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	err = w.run(needed.fill, func(l *readLine) error {
		if l.rec.Seq == seq {
			p.Line = append([]byte(nil), l.line...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if p.Line == nil {
		return nil, fmt.Errorf("audit: the line of seq %d was moved away", seq)
	}
	hashes, err := tlog.ProveRecord(w.newest.Size, p.Index, needed)
	p.Hashes = fromTlog(hashes)
	return p, err
}

// ProveConsistency returns the proof that the log which an older signed
// checkpoint is of is the beginning of that which the newest of dir is of.
func ProveConsistency(ctx context.Context, dir string, older []byte, cfg ProveConfig) (*Consistency, error) {
	w, err := openWalk(ctx, dir, cfg)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer w.dir.close()
	old, err := newMark(older, "")
	switch {
	case err != nil:
		return nil, err
	case old.LogID != w.newest.LogID:
		return nil, fmt.Errorf("audit: the checkpoint is of another log (%s)", old.LogID)
	case old.Size < 1 || old.Size > w.newest.Size:
		return nil, fmt.Errorf("audit: the checkpoint is of %d lines, and the newest of %d", old.Size, w.newest.Size)
	}
	p := &Consistency{Older: older, Newer: w.msg}
	needed := make(hashMap)
	if _, err := tlog.ProveTree(w.newest.Size, old.Size, needed); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if err := w.run(needed.fill, nil); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	hashes, err := tlog.ProveTree(w.newest.Size, old.Size, needed)
	if err == nil {
		p.Hashes = fromTlog(hashes)
		err = p.checkHashes(old.Checkpoint, w.newest)
	}
	return p, err
}

// A hashMap holds the hashes of subtrees that a proof needs, by their stored
// index. It notes which are asked for, so that a first try that is given zeros
// finds out which to keep.
type hashMap map[int64]tlog.Hash

// ReadHashes implements [tlog.HashReader].
func (m hashMap) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = m[index]
		m[index] = hashes[i]
	}
	return hashes, nil
}

func (m hashMap) fill(level int, index int64, node Hash) {
	at := tlog.StoredHashIndex(level, index)
	if _, needed := m[at]; needed {
		m[at] = tlog.Hash(node)
	}
}

func fromTlog[S ~[]tlog.Hash](hashes S) []Hash {
	out := make([]Hash, len(hashes))
	for i, h := range hashes {
		out[i] = Hash(h)
	}
	return out
}

func toTlog(hashes []Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(hashes))
	for i, h := range hashes {
		out[i] = tlog.Hash(h)
	}
	return out
}

// A walk goes over the lines that the newest checkpoint of a folder covers.
type walk struct {
	ctx    context.Context //nolint:containedctx // one call long
	cfg    ProveConfig
	dir    *folder
	days   []string
	newest *Checkpoint
	msg    []byte // newest, signed
	tree   tree
	done   int64
	total  int64
}

func openWalk(ctx context.Context, path string, cfg ProveConfig) (w *walk, err error) {
	w = &walk{ctx: ctx, cfg: cfg}
	if w.dir, err = openForReading(path); err != nil {
		return nil, err
	}
	if err := w.open(); err != nil {
		return nil, errors.Join(err, w.dir.close())
	}
	return w, nil
}

func (w *walk) open() (err error) {
	if w.msg, err = readBounded(w.dir, checkpointName, maxNote); err != nil {
		return err
	}
	newest, err := newMark(w.msg, checkpointName)
	if err != nil {
		return fmt.Errorf("%s: %w", checkpointName, err)
	}
	w.newest = newest.Checkpoint
	found, err := w.dir.inventory()
	if err != nil {
		return err
	}
	w.days = found.days
	for len(w.days) > 0 && w.days[len(w.days)-1] > w.newest.File {
		w.days = w.days[:len(w.days)-1]
	}
	for _, name := range w.days {
		n, err := lengthOf(w.dir, name)
		if err != nil {
			return err
		}
		w.total += n
	}
	return w.from()
}

// from begins at the checkpoint that is given.
func (w *walk) from() error {
	if w.cfg.From == nil {
		return nil
	}
	m, err := newMark(w.cfg.From, "")
	if err != nil {
		return err
	}
	if m.LogID != w.newest.LogID {
		return fmt.Errorf("the checkpoint to begin at is of another log (%s)", m.LogID)
	}
	w.tree = *m.tree()
	at, _ := slices.BinarySearch(w.days, m.File)
	w.days = w.days[at:]
	return nil
}

// run calls made for every perfect subtree, and do, if it is not nil, for every
// line, and holds the lines to the checkpoint.
func (w *walk) run(made func(level int, index int64, node Hash), do func(*readLine) error) error {
	if made != nil {
		w.tree.nodes(made)
	}
	for _, name := range w.days {
		err := w.file(name, func(l *readLine) error {
			switch {
			case l.err != nil:
				return l.err
			case l.rec.Seq <= w.tree.size: // before the checkpoint to begin at
				return nil
			case l.rec.Seq != w.tree.size+1:
				return errorf("seq is %d, want %d: give the checkpoint to begin at if days were moved away",
					l.rec.Seq, w.tree.size+1)
			}
			w.tree.appendNodes(l.leaf, made)
			if do != nil {
				return do(l)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: after seq %d: %w", name, w.tree.size, err)
		}
	}
	if w.tree.size != w.newest.Size || w.tree.root() != w.newest.Root {
		return fmt.Errorf("the lines up to seq %d are not those that %s was signed for: verify the trail",
			w.newest.Size, checkpointName)
	}
	return nil
}

// file reads the lines of a day file, of the last one those that are covered.
func (w *walk) file(name string, do func(*readLine) error) error {
	f, err := w.dir.open(name, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := sizeOf(f)
	if err != nil {
		return err
	}
	if name == w.newest.File {
		end = min(end, w.newest.Offset)
	}
	lines := 0
	err = eachRead(w.ctx, io.NewSectionReader(f, 0, end), 0, func(l *readLine) error {
		if lines++; lines%1024 == 0 && w.cfg.Progress != nil {
			w.cfg.Progress(w.done+l.offset, w.total)
		}
		return do(l)
	})
	w.done += end
	return err
}
