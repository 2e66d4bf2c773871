package proxy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tollbook/audit"
)

// records ends the sidecar and returns what the trail says, day and start and
// stop records left out, once it is verified.
func (s *sidecar) records() []*audit.Record {
	s.t.Helper()
	if err := s.close(); err != nil {
		s.t.Fatalf("closing the trail: %v", err)
	}
	report, err := audit.Verify(s.t.Context(), s.dir, audit.VerifyConfig{})
	if err != nil {
		s.t.Fatalf("the trail does not verify: %v", err)
	}
	if len(report.Open) > 0 {
		s.t.Errorf("received and never closed: %v", report.Open)
	}
	return s.onDisk()
}

// onDisk parses what the trail's files hold right now, but for system records.
func (s *sidecar) onDisk() []*audit.Record { return s.parse(s.text()) }

// takenRecords is onDisk for what breakTrail took away.
func (s *sidecar) takenRecords() []*audit.Record {
	content, err := os.ReadFile(s.taken())
	if err != nil {
		s.t.Errorf("reading the trail: %v", err)
	}
	return s.parse(content)
}

func (s *sidecar) parse(text []byte) (records []*audit.Record) {
	for line := range bytes.Lines(text) {
		r, err := audit.Parse(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			s.t.Errorf("parsing %q: %v", line, err)
			continue
		}
		if r.Phase != audit.System {
			records = append(records, r)
		}
	}
	return records
}

// text returns the bytes of the trail.
func (s *sidecar) text() (all []byte) {
	for _, name := range s.files() {
		content, err := os.ReadFile(name)
		if err != nil {
			s.t.Errorf("reading the trail: %v", err)
		}
		all = append(all, content...)
	}
	return all
}

func (s *sidecar) files() []string {
	names, err := filepath.Glob(filepath.Join(s.dir, "audit_*.jsonl"))
	if err != nil {
		s.t.Errorf("listing the trail: %v", err)
	}
	return names
}

// breakTrail takes the day file away: the next record can't be written, and the
// trail has failed for good.
func (s *sidecar) breakTrail() {
	for _, name := range s.files() {
		if err := os.Rename(name, s.taken()); err != nil {
			s.t.Errorf("taking the day file away: %v", err)
		}
	}
}

func (s *sidecar) taken() string { return s.dir + ".taken" }

// only ends the sidecar and returns the one record of the phase.
func (s *sidecar) only(phase audit.Phase) *audit.Record {
	s.t.Helper()
	return onlyOf(s.t, s.records(), phase)
}

func onlyOf(t testing.TB, records []*audit.Record, phase audit.Phase) *audit.Record {
	t.Helper()
	var found []*audit.Record
	for _, r := range records {
		if r.Phase == phase {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d records of phase %s, want 1", len(found), phase)
	}
	return found[0]
}
