package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A Proof shows that a record is in the log that a signed checkpoint is of, to
// anybody who has the log's verifier key and nothing else. Its text is a C2SP
// tlog-proof whose extra data is the line itself:
//
//	c2sp.org/tlog-proof@v1
//	extra <the line, base64>
//	index <seq − 1>
//	<hash, base64>
//	…
//
//	<signed checkpoint>
//
// The hashes are those of an inclusion proof (RFC 6962 §2.1.1), in its order.
type Proof struct {
	Index  int64
	Line   []byte // without its newline
	Hashes []Hash
	Note   []byte // the signed checkpoint
}

const (
	proofLine       = "c2sp.org/tlog-proof@v1"
	consistencyLine = "tollbook/consistency@v1"
)

var errProof = errors.New("audit: not a proof")

// Text returns the proof as it is kept.
func (p *Proof) Text() []byte {
	b := []byte(proofLine + "\nextra ")
	b = base64.StdEncoding.AppendEncode(b, p.Line)
	b = append(appendInt(append(b, "\nindex "...), p.Index), '\n')
	b = appendHashes(b, p.Hashes)
	return append(append(b, '\n'), p.Note...)
}

func appendHashes(dst []byte, hashes []Hash) []byte {
	for _, h := range hashes {
		dst = append(appendBase64(dst, h), '\n')
	}
	return dst
}

// ParseProof reads what [Proof.Text] writes. Errors hold nothing of the text.
func ParseProof(text []byte) (*Proof, error) {
	head, note, ok := strings.Cut(string(text), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(text) > maxProof || len(lines) < 3 || lines[0] != proofLine {
		return nil, fmt.Errorf("%w: want %s and what follows it", errProof, proofLine)
	}
	p := &Proof{Note: []byte(note)}
	var err error
	if p.Line, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra ")); err == nil {
		p.Index, err = strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	}
	if err == nil {
		p.Hashes, err = parseHashes(lines[3:])
	}
	if err != nil || string(p.Text()) != string(text) {
		return nil, fmt.Errorf("%w: it is not in the one form that there is", errProof)
	}
	return p, nil
}

// maxProof is the length of the longest proof in bytes.
const maxProof = 2*MaxLine + 2*maxNote + 8<<10

func parseHashes(lines []string) ([]Hash, error) {
	hashes := make([]Hash, 0, len(lines))
	for _, line := range lines {
		h, err := parseBase64(line)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// Check verifies the proof with the log's verifier key, and returns the record
// and the checkpoint. The checkpoint is returned beside an error too, if it is
// good.
func (p *Proof) Check(key string) (*Record, *Checkpoint, error) {
	c, err := checkNote(p.Note, key)
	if err != nil {
		return nil, nil, err
	}
	err = tlog.CheckRecord(toTlog(p.Hashes), c.Size, tlog.Hash(c.Root), p.Index, tlog.Hash(leafHash(p.Line)))
	if err != nil {
		return nil, c, errors.New("audit: the record is not in the log that the checkpoint is of")
	}
	r, err := Parse(p.Line)
	if err != nil {
		return nil, c, err
	}
	if r.Seq != p.Index+1 {
		return nil, c, errors.New("audit: the record's seq is not that of its place in the log")
	}
	return r, c, nil
}

// checkNote verifies a signed checkpoint with one key.
func checkNote(msg []byte, key string) (*Checkpoint, error) {
	k, err := parseVerifierKey(key)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	c, _, err := openNote(msg, k)
	return c, err
}

// A Consistency shows that the log which an older signed checkpoint is of is the
// beginning of that which a newer one is of: nothing was changed or taken away.
// Its text is
//
//	tollbook/consistency@v1
//	<hash, base64>
//	…
//
//	<signed older checkpoint>
//
//	<signed newer checkpoint>
//
// with the hashes of a consistency proof (RFC 6962 §2.1.2) in its order.
type Consistency struct {
	Hashes       []Hash
	Older, Newer []byte // signed checkpoints
}

// Text returns the proof as it is kept.
func (p *Consistency) Text() []byte {
	b := appendHashes([]byte(consistencyLine+"\n"), p.Hashes)
	b = append(append(b, '\n'), p.Older...)
	return append(append(b, '\n'), p.Newer...)
}

// ParseConsistency reads what [Consistency.Text] writes. Errors hold nothing of
// the text.
func ParseConsistency(text []byte) (*Consistency, error) {
	parts := strings.SplitN(string(text), "\n\n", 4)
	lines := strings.Split(parts[0], "\n")
	if len(parts) != 4 || len(text) > maxProof || lines[0] != consistencyLine {
		return nil, fmt.Errorf("%w: want %s and what follows it", errProof, consistencyLine)
	}
	hashes, err := parseHashes(lines[1:])
	p := &Consistency{hashes, []byte(parts[1] + "\n\n" + parts[2] + "\n"), []byte(parts[3])}
	if err != nil || string(p.Text()) != string(text) {
		return nil, fmt.Errorf("%w: it is not in the one form that there is", errProof)
	}
	return p, nil
}

// Check verifies the proof with the log's verifier key, and returns both
// checkpoints.
func (p *Consistency) Check(key string) (older, newer *Checkpoint, err error) {
	if older, err = checkNote(p.Older, key); err != nil {
		return nil, nil, err
	}
	if newer, err = checkNote(p.Newer, key); err != nil {
		return nil, nil, err
	}
	return older, newer, p.checkHashes(older, newer)
}

func (p *Consistency) checkHashes(older, newer *Checkpoint) error {
	if older.LogID != newer.LogID {
		return errors.New("audit: the checkpoints are of two logs")
	}
	err := tlog.CheckTree(toTlog(p.Hashes), newer.Size, tlog.Hash(newer.Root), older.Size, tlog.Hash(older.Root))
	if err != nil {
		return errors.New("audit: the older log is not the beginning of the newer one")
	}
	return nil
}
