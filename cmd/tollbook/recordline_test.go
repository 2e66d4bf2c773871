package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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

func TestASentenceIsPrintedAsItIsUnlessItDrivesTheTerminal(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "", `a "b" \c: 100 %`: `a "b" \c: 100 %`, "é": `\u00e9`, "\x1b[2J": `\x1b[2J`, "a\nb": `a\nb`,
		"\xff": `\ufffd`, "\u202e": `\u202e`, "\u009b": `\u009b`, "\x7f": `\x7f`, "\U000e0001": `\U000e0001`,
	} {
		if got := printableText(s); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}

// plainLines fails the test if the text could drive a terminal.
func plainLines(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && (r < ' ' || r > '~') {
			t.Errorf("got %q, want plain ASCII", text)
			return
		}
	}
}

func TestAVerdictOfAForgedTrailDrivesNoTerminal(t *testing.T) {
	t.Parallel()
	v := judge(&audit.Report{LogID: hostile, Key: hostile, Records: 1, FirstSeq: 1}, errors.New(hostile))
	v.LastHash = hostile
	text := v.text(hostile + ": ")
	plainLines(t, text)
	want := strings.Count(judge(&audit.Report{Records: 1, FirstSeq: 1}, errors.New("cause")).text("log: "), "\n")
	if got := strings.Count(text, "\n"); got != want {
		t.Errorf("got %d lines, want %d:\n%s", got, want, text)
	}
	var out bytes.Buffer
	printError(&out, errors.Join(errors.New(hostile), errors.New("second")))
	plainLines(t, out.String())
	if !strings.HasPrefix(out.String(), `tollbook: \x1b[2J\r`) || !strings.HasSuffix(out.String(), "\nsecond\n") {
		t.Errorf("got %q, want both errors", out.String())
	}
}

func TestALogsNameDrivesNoTerminal(t *testing.T) {
	t.Parallel()
	dir := twoLogs(t)
	if err := os.Rename(filepath.Join(dir, "api-0"), filepath.Join(dir, "\x1b[2J")); err != nil {
		t.Fatal(err)
	}
	plainLines(t, must(t, "audit", "verify", dir))
	file := filepath.Join(t.TempDir(), "\x1b[2J")
	if err := os.Rename(copyOf(t, filepath.Join(newTrail(t), "checkpoint")), file); err != nil {
		t.Fatal(err)
	}
	stdout, _, code := call(t, nil, "audit", "verify", dir, "--checkpoint", file)
	plainLines(t, stdout)
	if code != exitNo || !strings.Contains(stdout, `\x1b[2J: the log that it is of is not here`) {
		t.Errorf("got exit code %d and %q", code, stdout)
	}
}
