package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"tollbook/audit"
)

type proveCommand struct {
	Seq string `arg:"" optional:"" help:"The seq of the record."`
	trailFolder

	Since  string `help:"Prove that the trail goes on from this signed checkpoint instead." placeholder:"FILE"`
	From   string `help:"The signed checkpoint to begin at, if the days before it were moved away." placeholder:"FILE"`
	Output string `short:"o" help:"The file to make, which must not exist; stdout if not given." placeholder:"FILE"`
	Check  string `help:"Check the proof in this file; it takes --key and nothing else." placeholder:"FILE"`
	Key    string `help:"The verifier key to check with." placeholder:"VKEY"`
	JSON   bool   `name:"json" help:"With --check: print JSON."`
}

// A proved is what `audit prove --check` prints for programs.
type proved struct {
	Proved  bool            `json:"proved"`
	LogID   string          `json:"log_id"`
	Records int64           `json:"records,omitempty"`         // of an export
	Since   int64           `json:"tree_size_since,omitempty"` // of the older checkpoint
	Size    int64           `json:"tree_size"`                 // of the checkpoint
	Signed  time.Time       `json:"signed_at"`                 // the checkpoint's time
	Record  json.RawMessage `json:"record,omitempty"`
}

// Run makes a proof or checks one.
func (c *proveCommand) Run(a *app) error {
	if c.Since != "" && c.Dir == "" { // there is no seq
		c.Seq, c.Dir = "", c.Seq
	}
	switch kinds := count(c.Seq != "", c.Since != "", c.Check != ""); {
	case kinds != 1:
		return usageError{errors.New("give one of a seq, --since FILE or --check FILE")}
	case c.Check != "" && c.Key == "":
		return usageError{errors.New("--check needs --key, as tollbook audit key prints it; known from elsewhere, " +
			"or the proof proves nothing")}
	case c.Check != "":
		if err := checkKey(c.Key); err != nil {
			return err
		}
		return c.check(a)
	}
	text, err := c.prove(a)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}
	if c.Output == "" {
		return write(a.stdout)
	}
	return writeNewFile(c.Output, write)
}

// count returns how many hold.
func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

func (c *proveCommand) prove(a *app) ([]byte, error) {
	dir, err := c.path(a)
	if err != nil {
		return nil, err
	}
	bar := newBar(a.stderr)
	defer bar.clear()
	cfg := audit.ProveConfig{Progress: bar.update}
	if cfg.From, err = readLastNote(c.From); err != nil {
		return nil, err
	}
	if c.Since == "" {
		seq, err := strconv.ParseInt(c.Seq, 10, 64)
		if err != nil {
			return nil, usageError{fmt.Errorf("%q is no seq: want a whole number", c.Seq)}
		}
		if seq < 1 {
			return nil, usageError{errors.New("seq begins at 1")}
		}
		p, err := audit.Prove(a.ctx, dir, seq, cfg)
		if err != nil {
			return nil, err
		}
		return p.Text(), nil
	}
	older, err := readLastNote(c.Since)
	if err != nil {
		return nil, err
	}
	p, err := audit.ProveConsistency(a.ctx, dir, older, cfg)
	if err != nil {
		return nil, err
	}
	return p.Text(), nil
}

// maxProofFile is the length of the longest file with a proof, in bytes.
const maxProofFile = 1 << 20

// check reads a proof of either kind, or an export with proofs, and says what it
// proves.
func (c *proveCommand) check(a *app) error {
	p, text, err := c.checked()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(p)
	}
	_, err = fmt.Fprint(a.stdout, text)
	return err
}

func (c *proveCommand) checked() (proved, string, error) {
	if strings.HasSuffix(c.Check, ".zip") {
		return checkBundle(c.Check, c.Key)
	}
	text, err := readBounded(c.Check, maxProofFile)
	if err != nil {
		return proved{}, "", usageError{err}
	}
	if p, err := audit.ParseProof(text); err == nil {
		return checkRecord(p, c.Key)
	}
	p, err := audit.ParseConsistency(text)
	if err != nil {
		return proved{}, "", fmt.Errorf("%q is neither a proof of a record nor of a checkpoint", c.Check)
	}
	older, newer, err := p.Check(c.Key)
	if err != nil {
		return proved{}, "", err
	}
	return proved{Proved: true, LogID: newer.LogID, Since: older.Size, Size: newer.Size, Signed: newer.Time},
		fmt.Sprintf("proved: the %d lines of log %s signed at %s are the beginning of the %d signed at %s\n",
			older.Size, printable(older.LogID), older.Time.Format(time.RFC3339), newer.Size, newer.Time.Format(time.RFC3339)), nil
}

func checkRecord(p *audit.Proof, key string) (proved, string, error) {
	r, checkpoint, err := p.Check(key)
	if err != nil {
		return proved{}, "", err
	}
	said := fmt.Sprintf("proved: seq %d of log %s, within the %d lines signed at %s\n%s\n", r.Seq, printable(r.LogID),
		checkpoint.Size, checkpoint.Time.Format(time.RFC3339), printableText(string(p.Line)))
	return proved{
		Proved: true, LogID: r.LogID, Size: checkpoint.Size, Signed: checkpoint.Time, Record: p.Line,
	}, said, nil
}
