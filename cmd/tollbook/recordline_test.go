package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tollbook/audit"
)

func oneLine(r *audit.Record, today time.Time, width int) string {
	return (&lineFormat{width: width}).line(r, today)
}

func TestRecordLineDrivesNoTerminal(t *testing.T) {
	t.Parallel()
	r := &audit.Record{Timestamp: time.Unix(0, 0).UTC(), Seq: 7, HTTPStatus: 200}
	r.EventType, r.Reason, r.Method, r.Path = hostile, hostile, hostile, hostile
	r.JobID, r.Status, r.UserID, r.ActorID = hostile, hostile, hostile, hostile
	r.Phase, r.Outcome = hostile, hostile
	for _, width := range []int{wholeLine, leastLine, 100} {
		for _, c := range strings.ReplaceAll(oneLine(r, time.Now(), width), cutMark, "") {
			if c < ' ' || c > '~' {
				t.Errorf("width %d: got %q on the terminal", width, c)
			}
		}
	}
	if line := oneLine(r, time.Now(), wholeLine); strings.Count(line, `"\x1b[2J`) != 10 {
		t.Errorf("got %q, want each of the ten texts quoted", line)
	}
}

func TestRecordLineHasTheDateUnlessItIsTodays(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 23, 59, 59, 999e6, time.UTC)
	east := time.FixedZone("", 3600)
	for _, c := range []struct {
		today time.Time
		want  string
	}{
		{at, "23:59:59.999 "},
		{at.In(east), "23:59:59.999 "}, // there it is the 24th already
		{at.Add(time.Second), "2026-11-23 23:59:59 "},
		{at.AddDate(1, 0, 0), "2026-11-23 23:59:59 "},
	} {
		if line := oneLine(&audit.Record{Timestamp: at}, c.today, 100); !strings.HasPrefix(line, c.want) {
			t.Errorf("on %v: got %q, want it to begin with %q", c.today, line, c.want)
		}
	}
}

func TestRecordLineFitsAndItsColumnsStandBelowEachOther(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	long := "user_2abcdefghijklmnopqrstuvwxyz"
	records := []*audit.Record{
		{Timestamp: today.AddDate(-1, 0, 0), Seq: 123456, Phase: audit.Interrupted, UserID: long, Method: "GET"},
		{Timestamp: today, Seq: 1, Phase: audit.System, EventType: audit.EventSystem, Reason: "start"},
		{Timestamp: today, Seq: 2, Phase: audit.Completed, HTTPStatus: 502, UserID: long, ActorID: long, Outcome: audit.UpstreamError, Path: "/" + strings.Repeat("x", 200)},
		{Timestamp: today, Seq: 3, Phase: audit.Received, UserID: strings.Repeat("é", 40), Path: strings.Repeat("é", 200)},
	}
	for _, width := range []int{80, 81, 100, 250} {
		format := lineFormat{width: width}
		for _, r := range records {
			line := []rune(format.line(r, today))
			user := min(32, width/5)
			column := strings.TrimSpace(string(line[43:min(len(line), 43+user)]))
			if len(line) > width || strings.TrimSpace(string(line[27:38])) != string(r.Phase) ||
				strings.TrimSpace(string(line[39:42])) != number(r.HTTPStatus) {
				t.Errorf("width %d: got %q", width, string(line))
			}
			if r.UserID == long && (!strings.HasPrefix(column, "user_2") || !strings.HasSuffix(column, "xyz")) {
				t.Errorf("width %d: got %q for the user", width, column)
			}
		}
	}
	if line := oneLine(records[1], today, 80); !strings.HasPrefix(line, "00:00:00.000      1 system ") {
		t.Errorf("today alone: got %q, want no room for a date", line)
	}
	whole := oneLine(records[2], today, wholeLine)
	if !strings.Contains(whole, records[2].Path) || !strings.Contains(whole, "by "+long) || strings.Contains(whole, cutMark) {
		t.Errorf("got %q, want nothing cut", whole)
	}
}

// What is cut is cut where a letter ends.
func TestACutIsMarked(t *testing.T) {
	t.Parallel()
	for width := range 20 {
		if width < 1 {
			continue
		}
		got := cutEnd("ab"+cutMark+"cdefghi", width)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) != min(width, 10) ||
			width < 10 && !strings.HasSuffix(got, cutMark) {
			t.Errorf("width %d: got %q", width, got)
		}
	}
	if got := cutMiddle("user_2abcdef", 8, 100); got != "use"+cutMark+"cdef" {
		t.Errorf("got %q", got)
	}
}

func TestWhatIsNotPlainIsQuoted(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "", "/jobs/a-b_c?d=e%20'": "/jobs/a-b_c?d=e%20'", "alice 200": `"alice 200"`, `a"b`: `"a\"b"`,
		`a\b`: `"a\\b"`, "é": `"\u00e9"`, "\x1b[2J": `"\x1b[2J"`, "\xff": `"\xff"`, "\u202e": `"\u202e"`,
	} {
		if got := printable(s); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}
