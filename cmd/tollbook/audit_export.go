package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tollbook/audit"
)

type exportCommand struct {
	trailFolder
	filters

	Format     string `default:"jsonl" enum:"jsonl,csv" help:"jsonl: the lines as they are on disk; csv: a table, with a ' before a text that a spreadsheet would take for a formula."`
	WithProofs bool   `name:"with-proofs" help:"Make a zip that stands alone: the lines, a proof for each that it is in the signed trail, and the verifier key. Needs --output."`
	Begin      string `name:"begin" help:"With --with-proofs: the signed checkpoint to begin at, if the days before it were moved away." placeholder:"FILE"`
	Output     string `short:"o" help:"The file to make, which must not exist; stdout if not given." placeholder:"FILE"`
}

// Run writes the records that are wanted. The file is there when all of them are
// in it, and else not at all.
func (c *exportCommand) Run(a *app) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	dir, err := c.path(a)
	if err != nil {
		return err
	}
	logs, err := audit.Logs(dir)
	if err != nil {
		return err
	}
	if c.WithProofs {
		return c.bundle(a, dir, logs, q)
	}
	write := func(w io.Writer) error { return c.export(a, w, dir, logs, q) }
	if c.Output == "" {
		return write(a.stdout)
	}
	if err := outsideTrail(c.Output, dir, logs); err != nil {
		return err
	}
	return writeNewFile(c.Output, write)
}

// bundle makes the zip.
func (c *exportCommand) bundle(a *app, dir string, logs []string, q audit.Query) error {
	switch {
	case c.Output == "":
		return usageError{errors.New("--with-proofs makes a zip: name it with --output")}
	case c.Format != "jsonl":
		return usageError{errors.New("--with-proofs proves the lines as they are on disk: it takes --format jsonl only")}
	case logs != nil:
		return usageError{fmt.Errorf("--with-proofs takes one log at a time: name one of the %d in %s", len(logs), dir)}
	}
	if err := outsideTrail(c.Output, dir, logs); err != nil {
		return err
	}
	bar := newBar(a.stderr)
	defer bar.clear()
	begin, err := readLastNote(c.Begin)
	if err != nil {
		return err
	}
	cfg := audit.ProveConfig{Progress: bar.update, From: begin}
	exported := 0
	err = writeNewFile(c.Output, func(w io.Writer) (err error) {
		exported, err = writeBundle(a, w, dir, filepath.Dir(c.Output), q, cfg)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "records exported, each with its proof: %d\n", exported)
	return nil
}

// A recordWriter writes records in one of the formats of an export.
type recordWriter interface {
	write(h audit.Hit) error
	// close writes what is still to be written, and returns what has to be said
	// of the export, "" for nothing.
	close() (note string, err error)
}

func (c *exportCommand) export(a *app, w io.Writer, dir string, logs []string, q audit.Query) error {
	var out recordWriter = &lineWriter{out: bufio.NewWriter(w)}
	if c.Format == "csv" {
		var err error
		if out, err = newTableWriter(w, len(logs) > 0); err != nil {
			return err
		}
	}
	exported := 0
	err := search(a, isTerminal(w), dir, q, func(h audit.Hit) error {
		exported++
		return out.write(h)
	})
	note, closeErr := out.close()
	if err := errors.Join(err, closeErr); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "records exported: %d%s\n", exported, note)
	return nil
}

// A lineWriter writes the lines as they are on disk.
type lineWriter struct{ out *bufio.Writer }

func (w *lineWriter) write(h audit.Hit) error {
	_, err := fmt.Fprintf(w.out, "%s\n", h.Line)
	return err
}

func (w *lineWriter) close() (string, error) { return "", w.out.Flush() }

// outsideTrail refuses, with a usageError, to put a file into a log: nothing but
// its writer does.
func outsideTrail(path, dir string, logs []string) error {
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, log := range append([]string{""}, logs...) {
		trail, err := os.Stat(filepath.Join(dir, log))
		if err != nil {
			return err
		}
		if os.SameFile(folder, trail) {
			return usageError{fmt.Errorf("--output %s lies in the trail's folder: put it elsewhere", path)}
		}
	}
	return nil
}
