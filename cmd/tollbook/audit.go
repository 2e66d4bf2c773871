package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"tollbook/audit"
)

type auditCommands struct {
	Verify verifyCommand `cmd:"" help:"Check format, numbering, chain and closure of the trail."`
	Query  queryCommand  `cmd:"" help:"Print the records that are looked for; times are UTC."`
	Export exportCommand `cmd:"" help:"Write records to a file, as JSON lines or CSV."`
	Tail   tailCommand   `cmd:"" help:"Print the last records, then new ones as they come; times are UTC."`
}

type verifyCommand struct {
	Dir     string `arg:"" optional:"" help:"The trail's folder; TOLLBOOK_AUDIT_DIR if not given."`
	EnvFile string `name:"env-file" help:"Settings file; .env.local if it is there." placeholder:"PATH"`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// errNotVerified is the answer "no" when the report has said why.
var errNotVerified = errors.New("the trail does not verify")

// A verdict is the report for programs.
type verdict struct {
	OK       bool    `json:"ok"`
	Verdict  string  `json:"verdict"`
	Error    string  `json:"error,omitempty"`
	File     string  `json:"file,omitempty"`
	Line     int64   `json:"line,omitempty"`
	Seq      int64   `json:"seq,omitempty"`
	LogID    string  `json:"log_id,omitempty"`
	Files    int     `json:"files"`
	Records  int64   `json:"records"`
	FirstSeq int64   `json:"first_seq,omitempty"`
	LastSeq  int64   `json:"last_seq,omitempty"`
	LastHash string  `json:"last_hash,omitempty"`
	Open     []int64 `json:"open"`
}

// Run reads the trail and says whether it holds. The error is for an exit code
// of 1.
func (c *verifyCommand) Run(a *app) error {
	dir := c.Dir
	if dir == "" {
		var err error
		if dir, err = auditDir(a.environ, a.dir, c.EnvFile); err != nil {
			return err
		}
	}
	report, err := audit.Verify(a.ctx, dir)
	v := judge(report, err)
	if c.JSON {
		if err := json.NewEncoder(a.stdout).Encode(v); err != nil {
			return err
		}
	} else if err := v.print(a, report); err != nil {
		return err
	}
	if !v.OK {
		return errNotVerified
	}
	return nil
}

func judge(r *audit.Report, err error) verdict {
	v := verdict{Verdict: "failed", Open: []int64{}}
	if r != nil {
		v.LogID, v.Files, v.Records = r.LogID, r.Files, r.Records
		v.FirstSeq, v.LastSeq, v.LastHash = r.FirstSeq, r.Head.Seq, r.Head.Hash.String()
		v.Open = append(v.Open, r.Open...)
	}
	if bad, ok := errors.AsType[*audit.VerifyError](err); ok {
		v.File, v.Line, v.Seq = bad.File, bad.Line, bad.Seq
	}
	switch {
	case err != nil:
		v.Error = err.Error()
	case r.Partial():
		v.Verdict = "partial"
		v.Error = fmt.Sprintf("the log begins at seq %d: the days before are not in the folder", r.FirstSeq)
	default:
		v.OK, v.Verdict = true, "verified"
	}
	return v
}

// print says it to a person, the verdict first.
func (v verdict) print(a *app, r *audit.Report) error {
	text := v.Verdict
	if v.Error != "" {
		text += ": " + v.Error
	}
	text += "\n"
	if r != nil && v.Records > 0 {
		text += fmt.Sprintf("  log     %s\n  files   %d\n  records %d (seq %d to %d)\n  from    %s\n"+
			"  to      %s\n  head    %s\n", v.LogID, v.Files, v.Records, v.FirstSeq, v.LastSeq,
			r.From.Format(timeFormat), r.To.Format(timeFormat), v.LastHash)
		text += fmt.Sprintf("  open    %d in the last run\n", len(v.Open))
	}
	if r != nil && r.Unfinished {
		text += "  a record is being written at this moment\n"
	}
	_, err := fmt.Fprint(a.stdout, text)
	return err
}

const timeFormat = "2006-01-02 15:04:05.000000 MST"
