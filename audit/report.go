package audit

import (
	"errors"
	"fmt"
	"time"
)

// A Report is what [Verify] found.
type Report struct {
	LogID    string
	Files    int
	Records  int64
	Bytes    int64
	FirstSeq int64 // greater than 1: the days before are not in the folder
	// Begin is the size of the checkpoint that verification began at, if one was
	// given.
	Begin    int64
	Head     Head
	From, To time.Time // the first and the last record's timestamp
	Open     []int64   // received and not closed, in the last run

	Runs    int64 // starts of the writer
	Unclean int64 // of these the ones that ended without their `stop` record
	Repairs int64 // torn ends that were cut, with the evidence kept
	// EvidenceMissing counts the repairs whose evidence is no longer there.
	EvidenceMissing int64
	// Adopted counts the lines that were signed only by the start after the run
	// that wrote them: what a kill leaves of its last second.
	Adopted int64
	// Quarantined names the folders with logs that were given up.
	Quarantined []string

	Checkpoints int64  // of the folder that were checked
	Anchored    int    // of those that were kept elsewhere
	Signed      int64  // lines that the newest checkpoint covers
	Key         string // the verifier key of the newest checkpoint
	// SelfAttested says that nothing from elsewhere was asked: whoever could
	// write the folder could have made another trail with another key.
	SelfAttested bool
	// Unfinished says that the newest file ends within a line, or before its
	// first: one that is being written.
	Unfinished bool
}

// Partial reports whether the log's beginning is missing and no checkpoint says
// what it was.
func (r *Report) Partial() bool { return r.Records > 0 && r.FirstSeq != r.Begin+1 }

// Unsigned returns how many lines lie behind the newest checkpoint: those of the
// last second, of a log that is being written.
func (r *Report) Unsigned() int64 { return r.Head.Seq - r.Signed }

// A VerifyError names the first thing that is no good: a record, or a checkpoint.
type VerifyError struct {
	File string // the file's name; "" if that is not known
	Line int64  // of a day file, from 1; 0 if that is not known
	Seq  int64  // that the line should have; 0 if that is not known
	Err  error
}

// Error says where, as far as that is known, and why in one line.
func (e *VerifyError) Error() string {
	place := ""
	switch {
	case e.Line > 0:
		place = fmt.Sprintf("line %d (seq %d): ", e.Line, e.Seq)
	case e.Seq > 0:
		place = fmt.Sprintf("seq %d: ", e.Seq)
	}
	if e.File != "" {
		place = e.File + ": " + place
	}
	return fmt.Sprintf("audit: %s%v", place, e.Err)
}

// Unwrap returns the cause.
func (e *VerifyError) Unwrap() error { return e.Err }

// ErrNoTrail says that there is nothing to verify, which is never good.
var ErrNoTrail = errors.New("audit: no day files (audit_YYYYMMDD.jsonl)")
