package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// A HashFile is where [ProveAll] keeps the hashes of subtrees: 64 bytes for each
// line of the log. An [os.File] is one.
type HashFile interface {
	io.Writer
	io.ReaderAt
}

// ProveAll calls do with the proof of every record in dir that q wants and that
// the newest checkpoint covers, in order. The log is read twice, and held to the
// checkpoint; no signature is verified. Memory does not grow with the log: the
// hashes go into temp, which must be empty. An error of do ends it.
func ProveAll(
	ctx context.Context, dir string, q Query, temp HashFile, cfg ProveConfig, do func(*Proof) error,
) error {
	hashes, err := writeHashes(ctx, dir, temp, cfg)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	w, err := openWalk(ctx, dir, cfg)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer w.dir.close()
	w.newest, w.msg = hashes.newest, hashes.msg // the log may have grown since
	err = w.run(nil, func(l *readLine) error {
		if !q.Match(l.rec) {
			return nil
		}
		proof, err := tlog.ProveRecord(w.newest.Size, l.rec.Seq-1, hashes)
		if err != nil {
			return err
		}
		return do(&Proof{Index: l.rec.Seq - 1, Line: l.line, Hashes: fromTlog(proof), Note: w.msg})
	})
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// A hashReader reads the hashes of subtrees from a file: those of stored index i
// at byte 32·i, but for those that lie before the first line that was read.
type hashReader struct {
	file   io.ReaderAt
	first  int64 // the stored index of the first hash in the file
	before map[int64]tlog.Hash
	newest *Checkpoint
	msg    []byte
}

// ReadHashes implements [tlog.HashReader].
func (r *hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, known := r.before[index]
		if !known {
			if _, err := r.file.ReadAt(h[:], (index-r.first)*tlog.HashSize); err != nil {
				return nil, fmt.Errorf("reading the hashes: %w", err)
			}
		}
		hashes[i] = h
	}
	return hashes, nil
}

// writeHashes goes over the log and writes the hash of every subtree, in the
// order in which they are complete, which is that of their stored index.
func writeHashes(ctx context.Context, dir string, temp HashFile, cfg ProveConfig) (*hashReader, error) {
	w, err := openWalk(ctx, dir, cfg)
	if err != nil {
		return nil, err
	}
	defer w.dir.close()
	r := &hashReader{file: temp, before: make(map[int64]tlog.Hash), newest: w.newest, msg: w.msg}
	r.first = tlog.StoredHashCount(w.tree.size)
	out := bufio.NewWriterSize(temp, 1<<16)
	err = w.run(func(level int, index int64, node Hash) {
		if at := tlog.StoredHashIndex(level, index); at < r.first {
			r.before[at] = tlog.Hash(node)
			return
		}
		_, _ = out.Write(node[:]) // Flush has the error
	}, nil)
	return r, errors.Join(err, out.Flush())
}
