package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tollbook/audit"
)

// lastRecords returns the last n records of a log.
func lastRecords(dir string, n int) ([]*audit.Record, error) {
	w, err := audit.Watch(dir, n)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	var records []*audit.Record
	err = w.Poll(context.Background(), func(h audit.Hit) error {
		records = append(records, h.Record)
		return nil
	})
	return records, err
}

// How wide a line is.
const (
	wholeLine = 0  // as wide as it needs
	leastLine = 80 // where a terminal is narrower
)

// A lineFormat makes lines for people, their columns below each other.
type lineFormat struct {
	width int // longer lines are cut; wholeLine: none is
	time  int // width of the column for the time: as wide as it had to be so far
}

// line is a record in one line: when, seq, phase, status and user in columns, then
// what it was about. The date stands unless it is today's.
func (f *lineFormat) line(r *audit.Record, today time.Time) string {
	at := when(r.Timestamp, today)
	f.time = max(f.time, len(at))
	user := 32 // as long as Clerk's ids are
	if f.width != wholeLine {
		user = min(user, f.width/5)
	}
	line := fmt.Sprintf("%-*s %6d %-11s %3s %-*s %s", f.time, at, r.Seq, printable(string(r.Phase)),
		number(r.HTTPStatus), user, cutMiddle(printable(r.UserID), user, f.width),
		strings.Join(about(r, cutMiddle(printable(r.ActorID), user, f.width)), " "))
	return cutEnd(strings.TrimRight(line, " "), f.width)
}

func when(t, today time.Time) string {
	if t.Format(time.DateOnly) == today.UTC().Format(time.DateOnly) {
		return t.Format("15:04:05.000")
	}
	return t.Format(time.DateTime)
}

// about returns what stands behind the columns. What may be cut is last: the path
// says little that the event's name and the job don't.
func about(r *audit.Record, actor string) []string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, printable(s))
		}
	}
	if r.ActorID != "" {
		parts = append(parts, "by "+actor)
	}
	if r.Outcome != audit.OK {
		add(string(r.Outcome))
	}
	add(r.Reason)
	switch r.EventType {
	case audit.EventRequest, audit.EventAuthFailure, audit.EventSystem: // as the rest says
	default:
		add(r.EventType)
	}
	add(r.JobID)
	add(r.Status)
	add(r.Method)
	add(r.Path)
	return parts
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// printable keeps what a record holds from driving the terminal, and from looking
// like more than one part of a line: what is not plain is quoted as Go would.
func printable(s string) string {
	plain := func(r rune) bool { return r > ' ' && r <= '~' && r != '"' && r != '\\' }
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return strconv.QuoteToASCII(s)
}

// printableText is printable for a sentence, whose spaces and quotes stand: what
// else is no plain ASCII is escaped as Go would.
func printableText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r >= ' ' && r <= '~' {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

// printableLines is printableText for what may have more than one line.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printableText(line)
	}
	return strings.Join(lines, "\n")
}

// The mark of what was cut.
const cutMark = "…"

// cutEnd cuts a line to width. It is ASCII but for marks, so that a rune is a
// column.
func cutEnd(s string, width int) string {
	if width == wholeLine || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + cutMark
}

// cutMiddle cuts an id of ASCII to size, unless the line is as wide as it needs.
// Its beginning tells the kind, and its end one from another.
func cutMiddle(s string, size, width int) string {
	if width == wholeLine || len(s) <= size {
		return s
	}
	tail := size / 2
	return s[:size-tail-1] + cutMark + s[len(s)-tail:]
}
