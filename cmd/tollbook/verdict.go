package main

import (
	"errors"
	"fmt"

	"tollbook/audit"
)

// A verdict is what verifying one log gave, for programs.
type verdict struct {
	Log      string  `json:"log,omitempty"` // the subfolder's name, of a folder of logs
	OK       bool    `json:"ok"`
	Verdict  string  `json:"verdict"` // verified, partial, failed
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

	Checkpoints  int64  `json:"checkpoints"`
	Anchored     int    `json:"anchored"` // checkpoints from elsewhere
	Unsigned     int64  `json:"unsigned"` // records behind the newest checkpoint
	Runs         int64  `json:"runs"`
	Unclean      int64  `json:"unclean"`          // runs that ended without a stop record
	Repairs      int64  `json:"repairs"`          // torn ends that were cut
	Evidence     int64  `json:"evidence_missing"` // repairs whose evidence is no longer there
	Adopted      int64  `json:"adopted"`          // records signed only by the start after their run
	VerifierKey  string `json:"verifier_key,omitempty"`
	SelfAttested bool   `json:"self_attested"`
	// Quarantined are the folders with earlier logs that were given up.
	Quarantined []string `json:"quarantined,omitempty"`

	report *audit.Report
}

// verdicts are those of a folder of logs.
type verdicts struct {
	OK   bool      `json:"ok"`
	Logs []verdict `json:"logs"`
}

func (all *verdicts) add(v verdict) {
	all.Logs = append(all.Logs, v)
	all.OK = all.OK && v.OK
}

func judge(r *audit.Report, err error) verdict {
	v := verdict{Verdict: "failed", Open: []int64{}, report: r}
	if r != nil {
		v.LogID, v.Files, v.Records = r.LogID, r.Files, r.Records
		v.FirstSeq, v.LastSeq, v.LastHash = r.FirstSeq, r.Head.Seq, r.Head.Hash.String()
		v.Open = append(v.Open, r.Open...)
		v.Checkpoints, v.Anchored, v.Unsigned = r.Checkpoints, r.Anchored, r.Unsigned()
		v.Runs, v.Unclean, v.Repairs, v.Adopted = r.Runs, r.Unclean, r.Repairs, r.Adopted
		v.Evidence = r.EvidenceMissing
		v.Quarantined = r.Quarantined
		v.VerifierKey, v.SelfAttested = r.Key, r.SelfAttested
	}
	if bad, ok := errors.AsType[*audit.VerifyError](err); ok {
		v.File, v.Line, v.Seq = bad.File, bad.Line, bad.Seq
	}
	switch {
	case err != nil:
		v.Error = err.Error()
	case r.Partial():
		v.Verdict = "partial"
		v.Error = fmt.Sprintf("the log begins at seq %d: bring the days before back, or give the checkpoint "+
			"of %d lines with --from", r.FirstSeq, r.FirstSeq-1)
	default:
		v.OK, v.Verdict = true, "verified"
	}
	return v
}

// text says it to a person, the verdict first.
func (v verdict) text(log string) string {
	text := printableText(log) + v.Verdict
	switch {
	case v.Error != "":
		text += ": " + printableText(v.Error)
	case v.SelfAttested:
		text += ", self-attested: held against its own key alone; give --key or a --checkpoint kept elsewhere"
	}
	text += "\n"
	r := v.report
	if r == nil || v.Records == 0 {
		return text
	}
	text += fmt.Sprintf("  log          %s\n  files        %d\n  records      %d (seq %d to %d)\n"+
		"  from         %s\n  to           %s\n  head         %s\n", printable(v.LogID), v.Files, v.Records, v.FirstSeq,
		v.LastSeq, r.From.Format(timeFormat), r.To.Format(timeFormat), printable(v.LastHash))
	if r.Begin > 0 {
		text += fmt.Sprintf("  begun at     the checkpoint of %d lines\n", r.Begin)
	}
	text += fmt.Sprintf("  checkpoints  %d, and %d from elsewhere\n  signed       up to seq %d, %d unsigned behind it\n"+
		"  key          %s\n  runs         %d, %d of them cut off; %d torn ends repaired, %d records adopted\n"+
		"  open         %d in the last run\n", v.Checkpoints, v.Anchored, r.Signed, v.Unsigned,
		printable(v.VerifierKey), v.Runs, v.Unclean, v.Repairs, v.Adopted, len(v.Open))
	if v.Evidence > 0 {
		text += fmt.Sprintf("  evidence     of %d repairs is no longer in the folder\n", v.Evidence)
	}
	for _, name := range v.Quarantined {
		text += fmt.Sprintf("  given up     %s: an earlier log of this folder\n", printable(name))
	}
	if r.Unfinished {
		text += "  a record is being written at this moment\n"
	}
	return text
}

const timeFormat = "2006-01-02 15:04:05.000000 MST"
