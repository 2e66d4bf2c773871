package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// A Checkpoint is what a log says of itself at one moment, to be signed: how
// many lines it has and the root of the Merkle tree over them. Its text is that
// of a C2SP tlog-checkpoint with three more lines, each ended by a newline
// (U+000A):
//
//	tollbook/<log_id>
//	<size>
//	<root, base64>
//	time 2026-11-23T09:30:00Z
//	file audit_20261123.jsonl <offset>
//	edge <base64> … <base64>
//
// The leaf of index i is the line of seq i+1, without its newline (RFC 6962
// §2.1). There is exactly one way to write a checkpoint.
type Checkpoint struct {
	LogID string
	Size  int64 // lines covered
	Root  Hash
	Time  time.Time // UTC, seconds: when it was made
	// File is the day file with the last line covered, Offset the byte behind
	// that line and its newline.
	File   string
	Offset int64
	// Edge has the roots of the perfect subtrees that the tree is made of, left
	// to right; none if Size is 0.
	Edge []Hash
}

const checkpointTime = "2006-01-02T15:04:05Z"

func appendBase64(dst []byte, h Hash) []byte { return base64.StdEncoding.AppendEncode(dst, h[:]) }

// Text returns the text that is signed.
func (c *Checkpoint) Text() string {
	b := append([]byte(origin(c.LogID)), '\n')
	b = append(appendInt(b, c.Size), '\n')
	b = append(appendBase64(b, c.Root), '\n')
	b = append(b, "time "+c.Time.UTC().Format(checkpointTime)+"\nfile "+c.File+" "...)
	b = append(appendInt(b, c.Offset), "\nedge"...)
	for _, h := range c.Edge {
		b = appendBase64(append(b, ' '), h)
	}
	return string(append(b, '\n'))
}

// maxSize is the largest size of a log: more than any disk holds lines, and little
// enough for the arithmetic of trees.
const maxSize = 1 << 48

var errCheckpoint = errors.New("audit: not a checkpoint")

// ParseCheckpoint reads the text of a checkpoint, without signatures. It takes
// only what [Checkpoint.Text] writes, and a root that is that of the edge.
// Errors hold nothing of the text.
func ParseCheckpoint(text string) (*Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 7 {
		return nil, fmt.Errorf("%w: %d lines, want 6", errCheckpoint, len(lines)-1)
	}
	c, err := parseCheckpoint(lines)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errCheckpoint, err)
	case !isID(c.LogID) || c.Size > maxSize || c.Offset < 0 || !isDayFile(c.File) || c.Text() != text:
		return nil, fmt.Errorf("%w: it is not in the one form that there is", errCheckpoint)
	case !c.tree().whole():
		return nil, fmt.Errorf("%w: an edge of another size", errCheckpoint)
	case c.tree().root() != c.Root:
		return nil, fmt.Errorf("%w: the root is not that of the edge", errCheckpoint)
	}
	return c, nil
}

func parseCheckpoint(lines []string) (c *Checkpoint, err error) {
	c = &Checkpoint{LogID: strings.TrimPrefix(lines[0], AnyLog+"/")}
	file, offset, _ := strings.Cut(strings.TrimPrefix(lines[4], "file "), " ")
	c.File = file
	var errs [4]error
	c.Size, errs[0] = strconv.ParseInt(lines[1], 10, 64)
	c.Root, errs[1] = parseBase64(lines[2])
	c.Time, errs[2] = time.Parse(checkpointTime, strings.TrimPrefix(lines[3], "time "))
	c.Offset, errs[3] = strconv.ParseInt(offset, 10, 64)
	for _, err := range errs {
		if err != nil { // these quote what they can't read
			return nil, errors.New("a size, root, time or offset that is none")
		}
	}
	for edge := strings.Fields(strings.TrimPrefix(lines[5], "edge")); len(edge) > 0; edge = edge[1:] {
		h, err := parseBase64(edge[0])
		if err != nil {
			return nil, err
		}
		c.Edge = append(c.Edge, h)
	}
	return c, nil
}

func parseBase64(s string) (h Hash, err error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, errors.New("a hash that is none")
	}
	return Hash(b), nil
}

// tree returns the tree that the checkpoint is of, to go on from.
func (c *Checkpoint) tree() *tree {
	return &tree{size: c.Size, edge: append([]Hash(nil), c.Edge...)}
}

// same reports whether both say the same of the log, whenever they were made.
func (c *Checkpoint) same(other *Checkpoint) bool {
	at := *other
	at.Time = c.Time
	return c.Text() == at.Text()
}

// sign returns the checkpoint as a signed note.
func (c *Checkpoint) sign(signers []note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: c.Text()}, signers...)
}

// maxNote is the length of the longest signed checkpoint in bytes: an edge has
// 63 hashes at the most.
const maxNote = 16 << 10

// parseNote reads the text of a signed checkpoint; its signatures are not looked at.
func parseNote(msg []byte) (*Checkpoint, error) {
	text, _, ok := strings.Cut(string(msg), "\n\n")
	if !ok || len(msg) > maxNote {
		return nil, fmt.Errorf("%w: not a signed note", errCheckpoint)
	}
	return ParseCheckpoint(text + "\n")
}

// openNote verifies a signed checkpoint with the keys, and returns it with the
// keys whose signatures it has. Every key whose signature stands there must have
// made it; one of the keys must have signed.
func openNote(msg []byte, keys ...verifierKey) (*Checkpoint, []verifierKey, error) {
	c, err := parseNote(msg)
	if err != nil {
		return nil, nil, err
	}
	var known []note.Verifier
	byHash := make(map[uint32]verifierKey)
	for _, k := range keys {
		v, err := k.verifier(c.LogID)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errCheckpoint, err)
		}
		if _, twice := byHash[v.KeyHash()]; !twice {
			known = append(known, v)
		}
		byHash[v.KeyHash()] = k
	}
	n, err := note.Open(msg, note.VerifierList(known...))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errCheckpoint, signatureError(err))
	}
	if n.Text != c.Text() {
		return nil, nil, fmt.Errorf("%w: not a signed note", errCheckpoint)
	}
	signed := make([]verifierKey, len(n.Sigs))
	for i, s := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return nil, nil, fmt.Errorf("%w: it is not in the one form that there is", errCheckpoint)
		}
		signed[i] = byHash[s.Hash]
	}
	return c, signed, nil
}

var errOtherKey = errors.New("it is signed with another key")

// signatureError says what is wrong with a note's signatures, without its text.
func signatureError(err error) error {
	var invalid *note.InvalidSignatureError
	var unknown *note.UnverifiedNoteError
	switch {
	case errors.As(err, &invalid):
		return errors.New("the signature is not that of its text")
	case errors.As(err, &unknown):
		return errOtherKey
	default:
		return errors.New("not a signed note")
	}
}
