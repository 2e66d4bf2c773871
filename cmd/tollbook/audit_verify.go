package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"tollbook/audit"
)

type verifyCommand struct {
	trailFolder

	Key        []string `sep:"none" help:"The verifier key, as it is known from elsewhere; may be given more than once, for a folder of logs." placeholder:"VKEY"`
	Checkpoint []string `help:"Signed checkpoints that were kept elsewhere; may be given more than once." placeholder:"FILE"`
	From       []string `help:"The signed checkpoint to begin at, the last one in the file, if the days before it were moved away." placeholder:"FILE"`
	JSON       bool     `name:"json" help:"Print JSON."`
}

// errNotVerified is the answer "no" when the report has said why.
var errNotVerified = errors.New("the trail does not verify")

// Run reads the trail, or each of a folder of trails, and says whether it holds.
// The error is for an exit code of 1.
func (c *verifyCommand) Run(a *app) error {
	keys, err := parseVerifierKeys(c.Key)
	if err != nil {
		return err
	}
	dir, err := c.path(a)
	if err != nil {
		return err
	}
	kept, err := c.notes()
	if err != nil {
		return err
	}
	logs, err := audit.Logs(dir)
	switch {
	case err != nil:
		return err
	case logs != nil:
		return c.verifyAll(a, dir, logs, keys, kept)
	case len(c.From) > 1:
		return usageError{errors.New("--from is given twice, and there is one log: give one checkpoint to begin at")}
	}
	v := verify(a, dir, keys, kept.forOne())
	return report(a, c.JSON, v, v.text(""), v.OK)
}

// verifyAll verifies a folder of logs. What was kept of a log that is not there
// says that it is missing.
func (c *verifyCommand) verifyAll(a *app, dir string, logs []string, keys *verifierKeys, kept keptNotes) error {
	all := verdicts{OK: true}
	var text strings.Builder
	add := func(v verdict, name string) {
		all.add(v)
		text.WriteString(v.text(name))
	}
	for _, name := range logs {
		v := verify(a, filepath.Join(dir, name), keys, kept.of(filepath.Join(dir, name)))
		v.Log = name
		add(v, name+": ")
	}
	for _, file := range kept.unused() {
		add(judge(nil, fmt.Errorf("%s: the log that it is of is not here", file)), "")
	}
	for _, name := range keys.missing() {
		add(judge(nil, fmt.Errorf("--key %s: the log that it is of is not here", name)), "")
	}
	return report(a, c.JSON, all, text.String(), all.OK)
}

// report prints the verdict for programs or for people.
func report(a *app, asJSON bool, v any, text string, ok bool) error {
	var err error
	if asJSON {
		err = json.NewEncoder(a.stdout).Encode(v)
	} else {
		_, err = fmt.Fprint(a.stdout, text)
	}
	if err == nil && !ok {
		err = errNotVerified
	}
	return err
}

func verify(a *app, dir string, keys *verifierKeys, cfg audit.VerifyConfig) verdict {
	key, err := keys.of(dir)
	if err != nil {
		return judge(nil, err)
	}
	bar := newBar(a.stderr)
	defer bar.clear()
	cfg.Key, cfg.Progress = key, bar.update
	r, err := audit.Verify(a.ctx, dir, cfg)
	return judge(r, err)
}

// A keptNote is a signed checkpoint from a file.
type keptNote struct {
	file  string
	logID string
	note  []byte
	from  bool
	used  bool
}

// keptNotes are the checkpoints of the command line.
type keptNotes []*keptNote

func (c *verifyCommand) notes() (keptNotes, error) {
	var kept keptNotes
	for _, file := range c.Checkpoint {
		notes, err := readNotes(file)
		if err != nil {
			return nil, err
		}
		for _, note := range notes {
			kept = append(kept, &keptNote{file: file, logID: logOf(note), note: note})
		}
	}
	for _, file := range c.From {
		note, err := readLastNote(file)
		if err != nil {
			return nil, err
		}
		begin := &keptNote{file: file, logID: logOf(note), note: note, from: true}
		if kept.begins(begin.logID) {
			return nil, usageError{fmt.Errorf("--from is given twice for log %s", begin.logID)}
		}
		kept = append(kept, begin)
	}
	return kept, nil
}

// begins reports whether there is a checkpoint to begin the log at.
func (k keptNotes) begins(logID string) bool {
	return slices.ContainsFunc(k, func(n *keptNote) bool { return n.from && n.logID == logID })
}

// maxNoteFile is the length of the longest file with checkpoints, in bytes: some
// months of a history.
const maxNoteFile = 256 << 20

// readNotes reads a file with signed checkpoints.
func readNotes(file string) ([][]byte, error) {
	data, err := readBounded(file, maxNoteFile)
	if err != nil {
		return nil, usageError{err}
	}
	notes, err := audit.Notes(data)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", file, err)}
	}
	return notes, nil
}

// readLastNote reads the last signed checkpoint of a file; none of no file.
func readLastNote(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	notes, err := readNotes(file)
	if err != nil {
		return nil, err
	}
	return notes[len(notes)-1], nil
}

// logOf returns the id of the log that a note is of.
func logOf(note []byte) string {
	text, _, _ := strings.Cut(string(note), "\n\n")
	checkpoint, err := audit.ParseCheckpoint(text + "\n")
	if err != nil {
		return "" // Notes has parsed it
	}
	return checkpoint.LogID
}

// forOne takes all of them for the one log that there is.
func (k keptNotes) forOne() (cfg audit.VerifyConfig) {
	for _, n := range k {
		n.add(&cfg)
	}
	return cfg
}

// of takes those of the log in the folder.
func (k keptNotes) of(dir string) (cfg audit.VerifyConfig) {
	id, err := audit.IDOf(dir)
	if err != nil {
		return cfg // verifying it says why
	}
	for _, n := range k {
		if n.logID == id {
			n.add(&cfg)
		}
	}
	return cfg
}

func (n *keptNote) add(cfg *audit.VerifyConfig) {
	n.used = true
	if n.from {
		cfg.From = n.note
		return
	}
	cfg.Checkpoints = append(cfg.Checkpoints, n.note)
}

// unused returns the files with checkpoints of logs that are not there.
func (k keptNotes) unused() (files []string) {
	for _, n := range k {
		if !n.used {
			files = append(files, n.file)
		}
	}
	return files
}
