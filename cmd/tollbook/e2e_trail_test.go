package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// trailRecord is what the tests read of a record: a null is a nil pointer.
type trailRecord struct {
	Timestamp       string        `json:"timestamp"`
	EventType       string        `json:"event_type"`
	JobID           *string       `json:"job_id"`
	Status          *string       `json:"status"`
	UserID          *string       `json:"user_id"`
	UserEmail       *string       `json:"user_email"`
	TokenIAT        *int64        `json:"token_iat"`
	SessionID       *string       `json:"session_id"`
	Metadata        trailMetadata `json:"metadata"`
	Attributable    *string       `json:"alcoa_attributable"`
	Contemporaneous string        `json:"alcoa_contemporaneous"`
	Seq             int64         `json:"seq"`
	ReceivedSeq     int64         `json:"received_seq"`
	Phase           string        `json:"phase"`
	RequestID       string        `json:"request_id"`
	Outcome         string        `json:"outcome"`
	Reason          string        `json:"reason"`
	HTTPStatus      int           `json:"http_status"`
}

type trailMetadata struct {
	Files []trailFile `json:"files"`
}

type trailFile struct {
	Field     string `json:"field"`
	Filename  string `json:"filename"`
	SHA256    string `json:"sha256"`
	SizeBytes int64  `json:"size_bytes"`
}

// dayFiles returns the trail's files, oldest first.
func dayFiles(t *testing.T, trail string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(trail, "audit_*.jsonl"))
	if err != nil {
		t.Fatalf("listing the trail: %v", err)
	}
	slices.Sort(files)
	return files
}

// newestDay returns the trail's newest file.
func newestDay(t *testing.T, trail string) string {
	t.Helper()
	files := dayFiles(t, trail)
	if len(files) == 0 {
		t.Fatalf("no audit_*.jsonl in %s", trail)
	}
	return files[len(files)-1]
}

// readTrail returns every whole line of the trail. A line that is still being
// written is left out.
func readTrail(t *testing.T, trail string) []trailRecord {
	t.Helper()
	var records []trailRecord
	for _, file := range dayFiles(t, trail) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("reading the trail: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasSuffix(line, "\n") {
				records = append(records, parseRecord(t, line))
			}
		}
	}
	return records
}

func parseRecord(t *testing.T, line string) trailRecord {
	t.Helper()
	var r trailRecord
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatalf("a line of the trail is no record: %v\n%s", err, line)
	}
	return r
}

// tailTrail returns what `tail -n 1` shows of today's file.
func tailTrail(t *testing.T, trail string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	//nolint:gosec // G204: the file is the tests' own
	out, err := exec.CommandContext(ctx, "tail", "-n", "1", newestDay(t, trail)).Output()
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	return string(out)
}

// refusalOf waits for the record of a refused request, which reaches the disk
// after its reply has left.
func refusalOf(t *testing.T, trail, requestID string) (refusal trailRecord) {
	t.Helper()
	eventually(t, "the refusal is recorded", func() error {
		for _, r := range readTrail(t, trail) {
			if r.RequestID == requestID {
				refusal = r
				return nil
			}
		}
		return fmt.Errorf("no record of request %q", requestID)
	})
	return refusal
}

// wantClosedOnce holds every `received` of the trail to exactly one record
// that closes it, and returns the closing records by request id: the zero
// record for a request without one.
func wantClosedOnce(t *testing.T, records []trailRecord) map[string]trailRecord {
	t.Helper()
	closes := map[int64][]trailRecord{}
	for _, r := range records {
		if r.ReceivedSeq != 0 {
			closes[r.ReceivedSeq] = append(closes[r.ReceivedSeq], r)
		}
	}
	closed := map[string]trailRecord{}
	for _, r := range records {
		if r.Phase != "received" {
			continue
		}
		if got := len(closes[r.Seq]); got != 1 {
			t.Errorf("received seq %d: got closed %d times, want once", r.Seq, got)
			closed[r.RequestID] = trailRecord{}
			continue
		}
		closed[r.RequestID] = closes[r.Seq][0]
	}
	return closed
}

// text returns the string that p points to, "<null>" for nil.
func text(p *string) string {
	if p == nil {
		return "<null>"
	}
	return *p
}
