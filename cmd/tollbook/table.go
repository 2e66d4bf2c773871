package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"tollbook/audit"
)

// A tableWriter writes records as CSV (RFC 4180): UTF-8, CRLF, a header with the
// names of the fields. What a spreadsheet, or a terminal, would act upon is text
// in it; the exact bytes are in the JSON lines.
type tableWriter struct {
	out     *csv.Writer
	columns []audit.Column
	logs    bool // the first column is the log's name
	row     []string
	partial int // records with fields that have no column
}

// newTableWriter writes the header.
func newTableWriter(w io.Writer, logs bool) (*tableWriter, error) {
	t := &tableWriter{out: csv.NewWriter(w), columns: audit.Columns(), logs: logs}
	t.out.UseCRLF = true // no cell holds a line break
	if logs {
		t.row = append(t.row, "log")
	}
	for _, c := range t.columns {
		t.row = append(t.row, c.Name)
	}
	return t, t.out.Write(t.row)
}

func (t *tableWriter) write(h audit.Hit) error {
	t.row = t.row[:0]
	if t.logs {
		t.row = append(t.row, cell(h.Log))
	}
	for _, c := range t.columns {
		value := c.Of(h.Record)
		if c.Text {
			value = cell(value)
		}
		t.row = append(t.row, value)
	}
	if len(h.Record.Unknown) > 0 {
		t.partial++
	}
	return t.out.Write(t.row)
}

func (t *tableWriter) close() (note string, err error) {
	if t.partial > 0 {
		note = fmt.Sprintf("; %d of them have fields of a later version, which only jsonl shows", t.partial)
	}
	t.out.Flush()
	return note, t.out.Error()
}

// formulaStarts begin a cell that some spreadsheet takes for a formula: CWE-1236,
// with the full-width forms of the same signs.
const formulaStarts = "=+-@\t\r\n\x00＝＋－＠"

// cell is a text that means nothing to a spreadsheet or a terminal: it gets a '
// before a formula, and what does not print stands as \uXXXX, as in the trail.
// Bytes that are no UTF-8 become U+FFFD.
func cell(text string) string {
	var b strings.Builder
	for i, r := range text {
		if i == 0 && strings.ContainsRune(formulaStarts, r) {
			b.WriteByte('\'')
		}
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
