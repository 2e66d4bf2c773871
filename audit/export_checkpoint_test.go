package audit

import "bytes"

// ScanNotes calls do for every signed checkpoint of a history.
func ScanNotes(history []byte, do func(msg []byte, end int64) error) error {
	return scanNotes(bytes.NewReader(history), do)
}

// ReadsCheckpoint reads a signed checkpoint as Verify does before it knows keys.
func ReadsCheckpoint(msg []byte) error {
	_, err := newMark(msg, "")
	return err
}

// CheckNote verifies a signed checkpoint with one key.
func CheckNote(msg []byte, key string) (*Checkpoint, error) { return checkNote(msg, key) }
