package audit

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"strings"
)

// evidence holds what a repair cut off to what its record says of it. That it is no
// longer there is counted: it may have been moved away.
func (v *verifier) evidence(r *Record) error {
	if r.Phase != System || r.Reason != reasonRecovery {
		return nil
	}
	name := metaString(r, "evidence")
	if !strings.Contains(name, tornMark) || strings.Contains(name, "/") {
		return errorf("the recovery record names no evidence")
	}
	bad, err := readBounded(v.dir, name, maxTorn)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.report.EvidenceMissing++
		return nil
	case err != nil:
		return err
	case Hash(sha256.Sum256(bad)).String() != metaString(r, "sha256"):
		return errorf("%s is not what was cut off: its hash is another than the recovery record's", name)
	}
	return nil
}

// countRuns counts what each start leaves; r is the line behind v.last.
func (v *verifier) countRuns(r *Record) {
	if v.last != nil && r.BootID != v.boot && !ended(v.last) {
		v.report.Unclean++
	}
	if r.Phase != System {
		return
	}
	switch r.Reason {
	case reasonStart:
		v.report.Runs++
		v.report.Adopted += metaInt(r, metaUnsigned)
	case reasonRecovery:
		v.report.Repairs++
	}
}
