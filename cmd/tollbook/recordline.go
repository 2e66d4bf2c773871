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
	wholeLine = 0 // as wide as it needs
	plainLine = 100
	leastLine = 80
)

// recordLine is a record for people: when, seq, phase, status and user in columns,
// then what it was about. The date stands unless it is today's. A line longer than
// width is cut, and one of width wholeLine never is.
func recordLine(r *audit.Record, today time.Time, width int) string {
	user := 32 // as long as Clerk's ids are
	if width != wholeLine {
		user = min(user, width/5)
	}
	line := fmt.Sprintf("%-19s %6d %-11s %3s %-*s %s", when(r.Timestamp, today), r.Seq,
		printable(string(r.Phase)), number(r.HTTPStatus), user, cutMiddle(printable(r.UserID), user, width),
		strings.Join(about(r), " "))
	return cutEnd(strings.TrimRight(line, " "), width)
}

func when(t, today time.Time) string {
	if t.Format(time.DateOnly) == today.UTC().Format(time.DateOnly) {
		return t.Format("15:04:05.000")
	}
	return t.Format(time.DateTime)
}

// about returns what stands behind the columns: what went wrong first, then the
// request.
func about(r *audit.Record) []string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, printable(s))
		}
	}
	if r.ActorID != "" {
		parts = append(parts, "by "+printable(r.ActorID))
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
	add(r.Method)
	add(r.Path)
	add(r.JobID)
	add(r.Status)
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
