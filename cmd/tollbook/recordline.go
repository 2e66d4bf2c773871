package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tollbook/audit"
)

// lastRecords returns the last n records of the newest day file of a folder.
func lastRecords(dir string, n int) ([]*audit.Record, error) {
	files, err := filepath.Glob(filepath.Join(dir, "audit_*.jsonl"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no day file in %q: %w", dir, os.ErrNotExist)
	}
	f, err := os.Open(slices.Max(files))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, audit.MaxLine)
	var records []*audit.Record
	for lines.Scan() {
		r, err := audit.Parse(lines.Bytes())
		if err != nil {
			return nil, err
		}
		records = append(records, r)
		if len(records) > n {
			records = records[1:]
		}
	}
	return records, lines.Err()
}

// recordLine is a record for people, in 80 columns or a little more.
func recordLine(r *audit.Record) string {
	line := []string{fmt.Sprintf("%s %4d %-12s %-9s", r.Timestamp.Format("15:04:05.000"), r.Seq,
		r.EventType, r.Phase)}
	for _, part := range []string{
		string(r.Outcome), r.Reason, r.Method, r.Path, number(r.HTTPStatus), r.JobID, r.UserID,
	} {
		if part != "" {
			line = append(line, printable(part))
		}
	}
	return strings.Join(line, " ")
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// printable keeps what a record holds from driving the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return '?'
		}
		return r
	}, s)
}
