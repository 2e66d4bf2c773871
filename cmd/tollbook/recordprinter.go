package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"tollbook/audit"
)

// A recordPrinter writes records to stdout as they are found: for people, or the
// lines as they are on disk.
type recordPrinter struct {
	*bufio.Writer
	lines   lineFormat
	json    bool
	now     func() time.Time
	logs    int // width of the column for the log's name; 0 for none
	printed int64
}

func newRecordPrinter(stdout io.Writer, json bool) *recordPrinter {
	return &recordPrinter{
		Writer: bufio.NewWriter(stdout), json: json, now: time.Now,
		lines: lineFormat{width: widthOf(stdout, 0)},
	}
}

// widthOf returns how long lines may be behind an indent: as a terminal is wide, or
// as long as need be where something else reads them.
func widthOf(w io.Writer, indent int) int {
	if !isTerminal(w) {
		return wholeLine
	}
	width, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil {
		width = leastLine
	}
	return max(width, leastLine) - indent
}

// maxLogName is how much of a log's name a line of limited width has.
const maxLogName = 12

// forLogs makes a column for the logs' names; none if there is one log.
func (p *recordPrinter) forLogs(names []string) {
	for _, name := range names {
		p.logs = max(p.logs, len(printable(name)))
	}
	if p.logs > 0 && p.lines.width != wholeLine {
		p.logs = min(p.logs, maxLogName)
		p.lines.width -= p.logs + 1
	}
}

// print writes one record.
func (p *recordPrinter) print(h audit.Hit) error {
	p.printed++
	if p.json {
		_, err := fmt.Fprintf(p, "%s\n", h.Line)
		return err
	}
	log := ""
	if p.logs > 0 {
		log = fmt.Sprintf("%-*s ", p.logs, cutMiddle(printable(h.Log), p.logs, p.lines.width))
	}
	_, err := fmt.Fprintf(p, "%s%s\n", log, p.lines.line(h.Record, p.now()))
	return err
}
