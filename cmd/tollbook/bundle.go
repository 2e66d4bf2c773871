package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tollbook/audit"
)

// The names in an export with proofs.
const (
	bundleReadme      = "README.txt"
	bundleRecords     = "records.jsonl"
	bundleProofs      = "proofs.jsonl"
	bundleCheckpoint  = "checkpoint"
	bundleKey         = "verifier_key.txt"
	bundleCheckpoints = "checkpoints/"
)

// A bundledProof is a line of proofs.jsonl: that of the record in the same line of
// records.jsonl.
type bundledProof struct {
	Seq    int64    `json:"seq"`
	Hashes [][]byte `json:"hashes"` // base64, in the order of RFC 6962 §2.1.1
}

// A bundle is a zip that stands alone: records, and what proves that they are in
// the log.
type bundle struct {
	zip     *zip.Writer
	now     time.Time
	count   int
	records io.Writer
	proofs  *bufio.Writer // to a temporary file: a zip is written one file at a time
	newest  []byte
}

// writeBundle writes the records that q wants, with their proofs, to w. It puts
// temporary files into the folder temp. Only a trail that verifies is exported so.
func writeBundle(a *app, w io.Writer, dir, temp string, q audit.Query, cfg audit.ProveConfig) (n int, err error) {
	report, err := audit.Verify(a.ctx, dir, audit.VerifyConfig{From: cfg.From, Progress: cfg.Progress})
	if err != nil {
		return 0, err
	}
	hashes, removeHashes, err := tempFile(temp)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, removeHashes()) }()
	proofs, removeProofs, err := tempFile(temp)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, removeProofs()) }()
	b := &bundle{zip: zip.NewWriter(w), now: time.Now().UTC(), proofs: bufio.NewWriter(proofs)}
	if b.records, err = b.create(bundleRecords); err != nil {
		return 0, err
	}
	if err := audit.ProveAll(a.ctx, dir, q, hashes, cfg, b.add); err != nil {
		return 0, err
	}
	if err := b.proofs.Flush(); err != nil {
		return 0, err
	}
	if _, err := proofs.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	return b.count, errors.Join(b.finish(dir, report.Key, proofs), b.zip.Close())
}

// tempFile makes a file that is gone once it is removed.
func tempFile(dir string) (*os.File, func() error, error) {
	f, err := os.CreateTemp(dir, ".tollbook-*.tmp")
	if err != nil {
		return nil, nil, err
	}
	return f, func() error { return errors.Join(f.Close(), os.Remove(f.Name())) }, nil
}

func (b *bundle) create(name string) (io.Writer, error) {
	return b.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: b.now})
}

func (b *bundle) add(p *audit.Proof) error {
	b.count++
	b.newest = p.Note
	if _, err := fmt.Fprintf(b.records, "%s\n", p.Line); err != nil {
		return err
	}
	line := bundledProof{Seq: p.Index + 1, Hashes: make([][]byte, len(p.Hashes))}
	for i, h := range p.Hashes {
		line.Hashes[i] = h[:]
	}
	return json.NewEncoder(b.proofs).Encode(line)
}

// finish writes what belongs to the records.
func (b *bundle) finish(dir, key string, proofs io.Reader) error {
	if b.count == 0 {
		return errors.New("no record that a checkpoint covers is wanted: there is nothing to prove")
	}
	parts := []struct {
		name    string
		content io.Reader
	}{
		{bundleProofs, proofs},
		{bundleCheckpoint, bytes.NewReader(b.newest)},
		{bundleKey, strings.NewReader(key + "\n")},
		{bundleReadme, strings.NewReader(bundleText)},
	}
	for _, p := range parts {
		if err := b.put(p.name, p.content); err != nil {
			return err
		}
	}
	histories, err := filepath.Glob(filepath.Join(dir, "checkpoints_????????.txt"))
	if err != nil {
		return err
	}
	slices.Sort(histories)
	for _, name := range histories {
		if err := b.putFile(name); err != nil {
			return err
		}
	}
	return nil
}

func (b *bundle) put(name string, content io.Reader) error {
	w, err := b.create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, content)
	return err
}

func (b *bundle) putFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.put(bundleCheckpoints+filepath.Base(path), f)
}
