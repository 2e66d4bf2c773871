package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"tollbook/audit"
)

// bundleText is the README of an export with proofs.
const bundleText = `An export from an audit trail that tollbook keeps, with proofs.

records.jsonl     records, each line as it is on disk
proofs.jsonl      line n proves that line n of records.jsonl is in the log:
                  its seq, and the hashes of an inclusion proof (base64)
checkpoint        a signed statement of the log's size and root hash
verifier_key.txt  the public key that it is signed with
checkpoints/      all that was signed before, one statement a minute

To check it:

    tollbook audit prove --check EXPORT.zip --key VERIFIER_KEY

Take the verifier key from whoever runs the log, or from where it was kept
before, not from this file: with the key in here it only agrees with itself.

By hand (RFC 6962 section 2.1): the leaf is SHA-256(0x00 || line), without the
line's newline, its index is seq - 1. Each hash of the proof is the sibling on
the way up; a node is SHA-256(0x01 || left || right). The result must be the
third line of checkpoint, in base64; its second line is the number of lines.
The signature is Ed25519 over the text before the empty line, in the form of a
signed note (https://c2sp.org/signed-note).

What it shows: that these lines are in the log that was signed, unaltered. Not:
that no other record fits what was asked for.
`

// maxProofLine is the length of the longest line with a proof, in bytes. There are
// 63 hashes in it at most.
const maxProofLine = 16 << 10

// bundleReader reads an export with proofs, a line at a time: its memory does not
// grow with what the zip holds.
type bundleReader struct {
	key     string
	note    []byte
	records *bufio.Reader
	proofs  *bufio.Reader
	count   int64
}

// checkBundle checks every record of an export with the key, and says what was
// proved.
func checkBundle(path, key string) (proved, string, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return proved{}, "", usageError{fmt.Errorf("%s: %w", path, err)}
	}
	defer z.Close()
	b := &bundleReader{key: key}
	if err := b.open(&z.Reader); err != nil {
		return proved{}, "", fmt.Errorf("%s: %w", path, err)
	}
	var last *audit.Checkpoint
	for {
		c, err := b.next()
		switch {
		case errors.Is(err, io.EOF) && b.count > 0:
			said := fmt.Sprintf("proved: %d records of log %s, within the %d lines signed at %s\n", b.count,
				printable(last.LogID), last.Size, last.Time.Format(time.RFC3339))
			return proved{
				Proved: true, LogID: last.LogID, Records: b.count, Size: last.Size, Signed: last.Time,
			}, said, nil
		case errors.Is(err, io.EOF):
			return proved{}, "", fmt.Errorf("%s: holds no record", path)
		case err != nil:
			return proved{}, "", fmt.Errorf("%s: line %d of %s: %w", path, b.count+1, bundleRecords, err)
		}
		last = c
		b.count++
	}
}

func (b *bundleReader) open(z *zip.Reader) error {
	for _, name := range []string{bundleCheckpoint, bundleRecords, bundleProofs} {
		f, err := z.Open(name)
		if err != nil {
			return err
		}
		switch name {
		case bundleCheckpoint:
			b.note, err = io.ReadAll(io.LimitReader(f, maxProofFile))
		case bundleRecords:
			b.records = bufio.NewReaderSize(f, audit.MaxLine)
		default:
			b.proofs = bufio.NewReaderSize(f, maxProofLine)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next checks one record; at the end of both files it is io.EOF.
func (b *bundleReader) next() (*audit.Checkpoint, error) {
	line, err := b.records.ReadSlice('\n')
	proof, proofErr := b.nextProof()
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0 && errors.Is(proofErr, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, errors.New("a record is cut off, or there are more proofs than records")
	case errors.Is(proofErr, io.EOF):
		return nil, errors.New("there is no proof of it")
	case proofErr != nil:
		return nil, proofErr
	}
	p := audit.Proof{Index: proof.Seq - 1, Line: line[:len(line)-1], Note: b.note}
	for _, h := range proof.Hashes {
		if len(h) != len(audit.Hash{}) {
			return nil, errors.New("a hash of its proof has another length")
		}
		p.Hashes = append(p.Hashes, audit.Hash(h))
	}
	_, c, err := p.Check(b.key)
	return c, err
}

// nextProof reads the next line of the proofs; at their end it is io.EOF.
func (b *bundleReader) nextProof() (p bundledProof, err error) {
	line, err := b.proofs.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		return p, io.EOF
	case errors.Is(err, bufio.ErrBufferFull):
		return p, fmt.Errorf("its proof is longer than %d bytes", maxProofLine)
	case err != nil:
		return p, errors.New("its proof is cut off")
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || d.InputOffset() != int64(len(line)-1) {
		return p, errors.New("its proof is not in the form that there is")
	}
	return p, nil
}
