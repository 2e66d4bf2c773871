package audit_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"tollbook/audit"
)

// The files of the golden trails that cases change.
const (
	firstDay   = "audit_20260301.jsonl"
	secondDay  = "audit_20260302.jsonl"
	thirdDay   = "audit_20260303.jsonl"
	firstNotes = "checkpoints_20260301.txt"
)

// lineCases change one line of the trail one-day into what no log writes. Each is
// found in that line. The script must find them too, but for those that are good
// JSON with the right numbers and hashes: it does not know the one form.
var lineCases = map[string]struct {
	line       int
	from, to   string
	scriptGood bool
}{
	"doubled field":             {line: 5, from: `"job_id":null,`, to: `"job_id":null,"job_id":null,`},
	"doubled field, other":      {line: 5, from: `"job_id":null,`, to: `"job_id":"a","job_id":null,`},
	"doubled later field":       {line: 6, from: `"http_status":200`, to: `"http_status":200,"http_status":200`},
	"doubled name in metadata":  {line: 3, from: `"token_exp":`, to: `"token_exp":1,"token_exp":`},
	"doubled unknown field":     {line: 6, from: `200}`, to: `200,"x":1,"x":1}`},
	"unknown version":           {line: 5, from: `"v":1`, to: `"v":2`},
	"version 0":                 {line: 5, from: `"v":1`, to: `"v":0`},
	"version as text":           {line: 5, from: `"v":1`, to: `"v":"1"`},
	"version as float":          {line: 5, from: `"v":1`, to: `"v":1.0`},
	"version true":              {line: 5, from: `"v":1`, to: `"v":true`},
	"no version":                {line: 5, from: `"v":1,`, to: ``},
	"trailing bytes":            {line: 5, from: "}\n", to: "}x\n"},
	"trailing comma":            {line: 5, from: "}\n", to: "},\n"},
	"trailing record":           {line: 5, from: "}\n", to: "}{}\n"},
	"NUL behind the record":     {line: 5, from: "}\n", to: "}\x00\n"},
	"CRLF":                      {line: 5, from: "}\n", to: "}\r\n"},
	"byte order mark":           {line: 5, from: `{"timestamp"`, to: "\ufeff" + `{"timestamp"`},
	"byte order mark at first":  {line: 1, from: `{"timestamp"`, to: "\ufeff" + `{"timestamp"`},
	"raw UTF-8":                 {line: 5, from: `"list"`, to: `"lïst"`},
	"raw DEL":                   {line: 5, from: `"list"`, to: "\"list\x7f\""},
	"raw tab":                   {line: 5, from: `"list"`, to: "\"li\tst\""},
	"no last newline":           {line: 11, from: "}\n", to: "}"},
	"half a line":               {line: 11, from: `,"reason":"stop"}` + "\n", to: ``},
	"empty line":                {line: 5, from: `{"timestamp"`, to: "\n" + `{"timestamp"`},
	"leading zero":              {line: 6, from: `"http_status":200`, to: `"http_status":0200`},
	"seq with a leading zero":   {line: 5, from: `"seq":5`, to: `"seq":05`},
	"seq as float":              {line: 5, from: `"seq":5`, to: `"seq":5.0`},
	"seq as text":               {line: 5, from: `"seq":5`, to: `"seq":"5"`},
	"seq skipped":               {line: 5, from: `"seq":5`, to: `"seq":6`},
	"seq twice":                 {line: 5, from: `"seq":5`, to: `"seq":4`},
	"no seq":                    {line: 5, from: `"seq":5,`, to: ``},
	"log_id of another":         {line: 5, from: `"log_id":"5`, to: `"log_id":"6`},
	"an array":                  {line: 5, from: `{"timestamp"`, to: `[{"timestamp"`},
	"too long":                  {line: 6, from: `200}`, to: `200,"x":"` + strings.Repeat("x", audit.MaxLine) + `"}`},
	"needless escape":           {line: 5, from: `"list"`, to: `"\u006cist"`, scriptGood: true},
	"short escape":              {line: 8, from: `job\u000a`, to: `job\n`, scriptGood: true},
	"escaped slash":             {line: 5, from: `"/jobs/`, to: `"\/jobs/`, scriptGood: true},
	"upper-case escape":         {line: 8, from: `\u202e`, to: `\u202E`, scriptGood: true},
	"lone surrogate":            {line: 8, from: `\ud83d\udca5`, to: `\ud83d`, scriptGood: true},
	"twin that differs":         {line: 8, from: `_b64":"YT0Ke`, to: `_b64":"YT1Ke`, scriptGood: true},
	"twin of good UTF-8":        {line: 5, from: `/req-list"}`, to: `/req-list","http_path_b64":"L2pvYnMvcmVxLWxpc3Q="}`, scriptGood: true},
	"space behind a comma":      {line: 5, from: `,"job_id"`, to: `, "job_id"`, scriptGood: true},
	"space behind a colon":      {line: 5, from: `"job_id":`, to: `"job_id": `, scriptGood: true},
	"space before the record":   {line: 5, from: `{"timestamp"`, to: ` {"timestamp"`, scriptGood: true},
	"space behind the record":   {line: 5, from: "}\n", to: "} \n", scriptGood: true},
	"float":                     {line: 6, from: `"http_status":200`, to: `"http_status":200.0`, scriptGood: true},
	"exponent":                  {line: 6, from: `"http_status":200`, to: `"http_status":2e2`, scriptGood: true},
	"infinity":                  {line: 6, from: `"http_status":200`, to: `"http_status":Infinity`, scriptGood: true},
	"empty text":                {line: 5, from: `"job_id":null`, to: `"job_id":""`, scriptGood: true},
	"missing always-present":    {line: 5, from: `"session_id":null,`, to: ``, scriptGood: true},
	"missing last present":      {line: 1, from: `,"request_id":null`, to: ``, scriptGood: true},
	"wrong order":               {line: 5, from: `"job_id":null,"status":null`, to: `"status":null,"job_id":null`, scriptGood: true},
	"wrong order at the end":    {line: 6, from: `"received_seq":5,"outcome":"ok"`, to: `"outcome":"ok","received_seq":5`, scriptGood: true},
	"wrong order in metadata":   {line: 10, from: `"counts":{"audit_unavailable":3},`, to: `"zounts":{},`, scriptGood: true},
	"unknown field early":       {line: 5, from: `"job_id":null,`, to: `"job_id":null,"x":1,`, scriptGood: true},
	"unknown phase":             {line: 7, from: `"phase":"refused"`, to: `"phase":"denied"`, scriptGood: true},
	"unknown outcome":           {line: 6, from: `"outcome":"ok"`, to: `"outcome":"good"`, scriptGood: true},
	"times differ":              {line: 5, from: `"alcoa_contemporaneous":"2026`, to: `"alcoa_contemporaneous":"2027`, scriptGood: true},
	"closes nothing":            {line: 6, from: `"received_seq":5`, to: `"received_seq":4`, scriptGood: true},
	"closes twice":              {line: 6, from: `"received_seq":5`, to: `"received_seq":3`, scriptGood: true},
	"closes another's":          {line: 6, from: `"request_id":"req-list"`, to: `"request_id":"other"`, scriptGood: true},
	"no day record":             {line: 1, from: `"phase":"system","request_id":null,"reason":"day"`, to: `"phase":"system","request_id":null,"reason":"dax"`},
	"a day where none begins":   {line: 2, from: `"reason":"start"`, to: `"reason":"day"`},
	"day record, other size":    {line: 1, from: `"tree_size":0`, to: `"tree_size":1`, scriptGood: true},
	"day record, open requests": {line: 1, from: `"open":[]`, to: `"open":[9]`, scriptGood: true},
	"day record without a key":  {line: 1, from: `"verifier_key"`, to: `"verifier_kex"`},
}

// Each change is tried as it is, and in a trail that was chained, signed and
// claimed anew with another key, where nothing but the line itself is wrong.
func TestALineThatIsNotInTheOneFormIsFoundThere(t *testing.T) {
	t.Parallel()
	control, _ := goldenCopy(t, "one-day")
	f := newForger(t, control)
	f.resign()
	script := []scriptCase{{"forged and good", control, f.key, true}}
	if at := verifyError(t, control, audit.VerifyConfig{Key: f.key}); at != nil {
		t.Fatalf("a forged trail that nothing is wrong with: %v", at)
	}
	for name, c := range lineCases {
		for _, forged := range []bool{false, true} {
			dir, _ := goldenCopy(t, "one-day")
			f.dir = dir
			f.replace(firstDay, c.line, c.from, c.to)
			if forged {
				name += ", forged"
				f.resign()
			}
			at := verifyError(t, dir, audit.VerifyConfig{})
			if at == nil || at.File != firstDay || at.Line != int64(c.line) || at.Seq != int64(c.line) {
				t.Errorf("%s: got %v, want it found in line %d of %s", name, at, c.line, firstDay)
			}
			script = append(script, scriptCase{name, dir, "", c.scriptGood && forged})
		}
	}
	scriptAgrees(t, script)
}

// A place is where a trail is found to be bad.
type place struct {
	file string
	line int64
	seq  int64
}

func placeOf(at *audit.VerifyError) place {
	if at == nil {
		return place{}
	}
	return place{at.File, at.Line, at.Seq}
}

// trailCases change a trail otherwise than in the form of a line. The zero place
// means that nothing is found, and nothing can be.
var trailCases = map[string]struct {
	trail      string
	change     func(f *forger)
	withKey    bool
	found      place
	cause      string
	scriptGood bool // though found: what its docstring says it does not check
}{
	"first day dropped, the rest is partial": {
		trail: "three-days", change: drop(firstDay), // and so the report says: see below
	},
	"middle day dropped": {
		trail: "three-days", change: drop(secondDay),
		found: place{thirdDay, 1, 6}, cause: "seq is 15, want 6",
	},
	"middle day dropped with its history": {
		trail: "three-days", change: drop(secondDay, "checkpoints_20260302.txt"),
		found: place{thirdDay, 1, 6}, cause: "seq is 15, want 6",
	},
	"last day dropped": {
		trail: "three-days", change: drop(thirdDay),
		found: place{"checkpoints_20260303.txt", 0, 15}, cause: "lines are missing",
	},
	"last day dropped with its history": {
		trail: "three-days", change: drop(thirdDay, "checkpoints_20260303.txt"),
		found: place{"checkpoint", 0, 15}, cause: "it knows of 19 lines, and the trail ends after 14",
	},
	"middle day emptied": {
		trail: "three-days", change: truncate(secondDay, 0),
		found: place{secondDay, 1, 6}, cause: "the file is empty",
	},
	"first history dropped": {
		trail: "three-days", change: drop(firstNotes),
		found: place{secondDay, 1, 6}, cause: "no checkpoint of the history ends the day before",
	},
	"middle history dropped": {
		trail: "three-days", change: drop("checkpoints_20260302.txt"),
		found: place{thirdDay, 1, 15}, cause: "no checkpoint of the history ends the day before",
	},
	"history emptied": {
		trail: "three-days", change: truncate(firstNotes, 0),
		found: place{secondDay, 1, 6}, cause: "no checkpoint of the history ends the day before",
	},
	"newest history dropped, as a kill leaves it": {
		trail: "three-days", change: drop("checkpoints_20260303.txt"),
	},
	"checkpoint dropped": {
		trail: "three-days", change: drop("checkpoint"),
		found: place{"checkpoint", 0, 0}, cause: "there are records and no checkpoint",
	},
	"checkpoint emptied": {
		trail: "three-days", change: truncate("checkpoint", 0),
		found: place{"checkpoint", 0, 0}, cause: "not a checkpoint",
	},
	"checkpoint twice": {
		trail: "three-days", change: func(f *forger) {
			edit(f.t, f.dir, "checkpoint", func(b []byte) []byte { return bytes.Join([][]byte{b, b}, []byte("\n")) })
		},
		found: place{"checkpoint", 0, 19}, cause: "not that of its text",
	},
	"older checkpoint put back": {
		trail: "three-days", change: func(f *forger) {
			edit(f.t, f.dir, "checkpoint", func([]byte) []byte { return []byte(goldenNotes(f.t, f.dir)[0]) })
		},
		found: place{"checkpoint", 0, 14}, cause: "an older one was put back",
	},
	"checkpoint of another log": {
		trail: "three-days", change: func(f *forger) {
			other, _ := golden(f.t, "one-day")
			edit(f.t, f.dir, "checkpoint", func([]byte) []byte { return read(f.t, filepath.Join(other, "checkpoint")) })
		},
		found: place{"checkpoint", 0, 11}, cause: "it is of another log",
	},
	"history of another log": {
		trail: "three-days", change: func(f *forger) {
			other, _ := golden(f.t, "one-day")
			edit(f.t, f.dir, firstNotes, func([]byte) []byte { return read(f.t, filepath.Join(other, firstNotes)) })
		},
		found: place{secondDay, 1, 6}, cause: "no checkpoint of the history ends the day before",
	},
	"histories swapped": {
		trail: "three-days", change: func(f *forger) {
			first, second := read(f.t, filepath.Join(f.dir, firstNotes)), "checkpoints_20260302.txt"
			edit(f.t, f.dir, firstNotes, func([]byte) []byte { return read(f.t, filepath.Join(f.dir, second)) })
			edit(f.t, f.dir, second, func([]byte) []byte { return first })
		},
		found: place{secondDay, 1, 6}, cause: "no checkpoint of the history ends the day before",
	},
	"history with an empty line more": {
		trail: "three-days", change: func(f *forger) {
			edit(f.t, f.dir, firstNotes, func(b []byte) []byte { return append(b, '\n') })
		},
		found: place{firstNotes, 0, 0}, cause: "the file ends within a line",
	},
	"history without its last newline": {
		trail: "three-days", change: func(f *forger) {
			edit(f.t, f.dir, firstNotes, func(b []byte) []byte { return b[:len(b)-1] })
		},
		found: place{firstNotes, 0, 0}, cause: "the file ends within a line",
	},
	"signature taken off": {
		trail: "three-days", change: func(f *forger) {
			edit(f.t, f.dir, "checkpoint", func(b []byte) []byte { return b[:bytes.Index(b, []byte("—"))] })
		},
		found: place{"checkpoint", 0, 19}, cause: "not a signed note",
	},
	"signature of another checkpoint": {
		trail: "three-days", change: func(f *forger) {
			_, signature, _ := strings.Cut(goldenNotes(f.t, f.dir)[0], "\n\n")
			edit(f.t, f.dir, "checkpoint", func(b []byte) []byte {
				return append(b[:bytes.Index(b, []byte("—"))], signature...)
			})
		},
		found: place{"checkpoint", 0, 19}, cause: "the signature is not that of its text",
	},
	"hand-over taken out": {
		trail: "rotated", change: func(f *forger) {
			notes := goldenNotes(f.t, f.dir)
			write(f.t, filepath.Join(f.dir, firstNotes), []byte(notes[0]+"\n"+notes[2]))
		},
		found: place{firstNotes, 0, 8}, cause: "the key in force has not signed it",
	},
	"hand-over without the old key": {
		trail: "rotated", change: takeSignature(0),
		found: place{firstNotes, 0, 8}, cause: "the key in force has not signed it",
	},
	"hand-over without the new key": {
		trail: "rotated", change: takeSignature(1),
		found: place{firstNotes, 0, 8}, cause: "the key in force has not signed it",
	},
	"lines chained anew without the key": {
		trail: "three-days", change: func(f *forger) {
			f.replace(firstDay, 3, "user_1", "user_2")
			f.rechain()
		},
		found: place{firstDay, 5, 5}, cause: "the lines from seq 1 to 5 are not those that " + firstNotes,
	},
	"later lines chained anew without the key": {
		trail: "three-days", change: func(f *forger) {
			f.replace(thirdDay, 3, "user_1", "user_2")
			f.rechain()
		},
		found: place{thirdDay, 5, 19}, cause: "the lines from seq 15 to 19 are not those that checkpoints_20260303.txt",
	},
	"a line taken out and all numbered and chained anew": {
		trail: "one-day", change: func(f *forger) {
			editLine(f.t, f.dir, firstDay, 10, func([]byte) []byte { return nil })
			f.replace(firstDay, 10, `"seq":11`, `"seq":10`)
			f.rechain()
		},
		found: place{firstNotes, 0, 11}, cause: "it knows of 11 lines, and the trail ends after 10",
	},
	"claimed by another key that has not signed": {
		trail: "three-days", change: func(f *forger) {
			f.claim()
			f.rechain()
		},
		found: place{firstNotes, 0, 5}, cause: "it is signed with another key",
	},
	"signed by another key that is not claimed": {
		trail: "three-days", change: func(f *forger) {
			f.replace(firstDay, 3, "user_1", "user_2")
			f.rechain()
			f.sign()
		},
		found: place{firstNotes, 0, 5}, cause: "it is signed with another key",
	},
	"forged as a whole, and nothing else is known": {
		trail: "three-days", change: forgeAll, // self-attested: the reason for the key and the anchors
	},
	"forged as a whole": {
		trail: "three-days", change: forgeAll, withKey: true,
		found: place{"checkpoint", 0, 0}, cause: "no checkpoint is signed with the key that was given",
	},
	"forged from the last day on": {
		trail: "three-days", change: func(f *forger) {
			notes := contents(f.t, f.dir)
			forgeAll(f)
			for _, name := range []string{firstDay, firstNotes} {
				write(f.t, filepath.Join(f.dir, name), []byte(notes[name]))
			}
			f.rechain()
		},
		withKey: true, found: place{secondDay, 1, 6}, cause: "names another verifier key than the one in force",
	},
	"a file of other records beside": {
		trail: "three-days", change: func(f *forger) {
			other, _ := golden(f.t, "one-day")
			write(f.t, filepath.Join(f.dir, "audit_20260228.jsonl"), read(f.t, filepath.Join(other, firstDay)))
		},
		found: place{"audit_20260228.jsonl", 1, 1}, cause: "the record is of a later day than its file",
	},
	"a day twice": {
		trail: "three-days", change: func(f *forger) {
			write(f.t, filepath.Join(f.dir, "audit_20260304.jsonl"), read(f.t, filepath.Join(f.dir, thirdDay)))
		},
		found: place{"audit_20260304.jsonl", 1, 20}, cause: "seq is 15, want 20",
	},
	"lines behind the end": {
		trail: "three-days", change: func(f *forger) {
			edit(f.t, f.dir, thirdDay, func(b []byte) []byte { return append(b, b...) })
		},
		found: place{thirdDay, 6, 20}, cause: "seq is 15, want 20",
	},
}

func drop(names ...string) func(*forger) {
	return func(f *forger) { remove(f.t, f.dir, names...) }
}

func truncate(name string, size int) func(*forger) {
	return func(f *forger) { edit(f.t, f.dir, name, func(b []byte) []byte { return b[:size] }) }
}

// takeSignature takes one of the two signatures off each checkpoint that hands
// over to another key.
func takeSignature(which int) func(*forger) {
	return func(f *forger) {
		edit(f.t, f.dir, firstNotes, func(b []byte) []byte {
			lines := bytes.SplitAfter(b, []byte("\n"))
			for i := 0; i+1 < len(lines); i++ {
				if bytes.HasPrefix(lines[i], []byte("—")) && bytes.HasPrefix(lines[i+1], []byte("—")) {
					lines[i+which] = nil
				}
			}
			return bytes.Join(lines, nil)
		})
	}
}

func forgeAll(f *forger) {
	f.replace(firstDay, 3, "user_1", "user_2")
	f.resign()
}

func TestABadTrailIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	var script []scriptCase
	for name, c := range trailCases {
		dir, key := goldenCopy(t, c.trail)
		c.change(newForger(t, dir))
		cfg := audit.VerifyConfig{}
		if c.withKey {
			cfg.Key = key
		}
		at := verifyError(t, dir, cfg)
		if got := placeOf(at); got != c.found || at != nil && !strings.Contains(at.Error(), c.cause) {
			t.Errorf("%s: got %v: %v, want %v: %s", name, got, at, c.found, c.cause)
		}
		good := c.found == place{} && !strings.Contains(name, "partial")
		script = append(script, scriptCase{name, dir, cfg.Key, good || c.scriptGood})
	}
	scriptAgrees(t, script)
}

// What was signed tells that lines are missing, wherever the trail is cut.
func TestATrailThatIsCutAtAnyLineIsFound(t *testing.T) {
	t.Parallel()
	var script []scriptCase
	for name := range goldenTrails {
		from, _ := golden(t, name)
		left := len(records(t, from))
		for i := len(dayFiles(t, from)) - 1; i >= 0; i-- {
			lines := bytes.SplitAfter(read(t, dayFiles(t, from)[i]), []byte("\n"))
			for n := len(lines) - 2; n >= 0; n-- {
				left--
				dir := copyDir(t, from)
				for _, later := range dayFiles(t, dir)[i+1:] {
					remove(t, dir, filepath.Base(later))
				}
				write(t, dayFiles(t, dir)[i], bytes.Join(lines[:n], nil))
				at := verifyError(t, dir, audit.VerifyConfig{})
				if at == nil || at.Seq != int64(left+1) {
					t.Errorf("%s cut to %d lines: got %v, want it found at seq %d", name, left, at, left+1)
				}
				script = append(script, scriptCase{name, dir, "", false})
			}
		}
	}
	scriptAgrees(t, script)
}

// lineChanges change where a line stands. Chained anew, only the numbers, the
// tree and the signatures tell.
var lineChanges = map[string]struct {
	change func(lines [][]byte, i int) [][]byte
	found  int  // how many lines behind
	last   bool // it can be done to the last line of a file
}{
	"deleted": {func(lines [][]byte, i int) [][]byte { return append(lines[:i:i], lines[i+1:]...) }, 0, true},
	"doubled": {func(lines [][]byte, i int) [][]byte { return append(lines[:i+1:i+1], lines[i:]...) }, 1, true},
	"swapped with the next": {func(lines [][]byte, i int) [][]byte {
		lines[i], lines[i+1] = lines[i+1], lines[i]
		return lines
	}, 0, false},
}

func TestALineThatIsDeletedDoubledOrSwappedIsFoundInEveryGoldenTrail(t *testing.T) {
	t.Parallel()
	from, _ := golden(t, "three-days")
	var script []scriptCase
	for what, c := range lineChanges {
		for _, path := range dayFiles(t, from) {
			lines := bytes.SplitAfter(read(t, path), []byte("\n"))
			for i := range lines[:len(lines)-1] {
				last := i == len(lines)-2
				if last && !c.last {
					continue
				}
				for _, chained := range []bool{false, true} {
					dir := copyDir(t, from)
					changed := c.change(bytes.SplitAfter(read(t, path), []byte("\n")), i)
					edit(t, dir, path, func([]byte) []byte { return bytes.Join(changed, nil) })
					if chained {
						newForger(t, dir).rechain()
					}
					name := filepath.Base(path) + " " + what
					at := verifyError(t, dir, audit.VerifyConfig{})
					there := at != nil && at.File == filepath.Base(path) && at.Line == int64(i+1+c.found)
					if at == nil || !there && !(last && what == "deleted") {
						t.Errorf("%s: line %d, chained anew %v: got %v, want it found %d lines on", name, i+1,
							chained, at, c.found)
					}
					script = append(script, scriptCase{name, dir, "", false})
				}
			}
		}
	}
	scriptAgrees(t, script)
}

// A trail of which only the beginning is left, with the checkpoint of that time,
// is a good trail; only a later checkpoint that was kept elsewhere tells.
func TestAnOlderStateIsFoundByACheckpointFromElsewhere(t *testing.T) {
	t.Parallel()
	dir, key := goldenCopy(t, "three-days")
	kept := read(t, filepath.Join(dir, "checkpoint"))
	second := goldenNotes(t, dir)[1]
	write(t, filepath.Join(dir, "checkpoint"), []byte(second))
	remove(t, dir, thirdDay, "checkpoints_20260303.txt")
	if at := verifyError(t, dir, audit.VerifyConfig{Key: key}); at != nil {
		t.Errorf("without one: got %v, want it good", at)
	}
	at := verifyError(t, dir, audit.VerifyConfig{Key: key, Checkpoints: [][]byte{kept}})
	if want := (place{"a checkpoint from elsewhere", 0, 15}); placeOf(at) != want {
		t.Errorf("got %v, want %v", at, want)
	}
	_, forged := goldenCopy(t, "three-days")
	if at := verifyError(t, dir, audit.VerifyConfig{Key: forged, Checkpoints: [][]byte{[]byte(second)}}); at != nil {
		t.Errorf("with one of that time: got %v, want it good", at)
	}
}

// A forged trail does not get past a checkpoint of the true one either.
func TestAForgedTrailIsFoundByACheckpointFromElsewhere(t *testing.T) {
	t.Parallel()
	dir, _ := goldenCopy(t, "three-days")
	kept := goldenNotes(t, dir)[0]
	forgeAll(newForger(t, dir))
	at := verifyError(t, dir, audit.VerifyConfig{Checkpoints: [][]byte{[]byte(kept)}})
	if want := (place{"a checkpoint from elsewhere", 0, 5}); placeOf(at) != want {
		t.Errorf("got %v, want %v", at, want)
	}
}

func TestWithoutItsFirstDayATrailIsPartialUntilACheckpointIsGiven(t *testing.T) {
	t.Parallel()
	dir, key := goldenCopy(t, "three-days")
	notes := goldenNotes(t, dir)
	remove(t, dir, firstDay, firstNotes)
	report, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key})
	if err != nil || !report.Partial() || report.FirstSeq != 6 {
		t.Errorf("got %+v (%v), want it partial from seq 6", report, err)
	}
	report, err = audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key, From: []byte(notes[0])})
	if err != nil || report.Partial() || report.Begin != 5 || report.Records != 14 {
		t.Errorf("got %+v (%v), want all 14 from seq 6", report, err)
	}
	for what, from := range map[string]string{
		"altered":        strings.Replace(notes[0], "time 2026", "time 2027", 1),
		"of another log": string(goldenNotesOf(t, "one-day")[0]),
		"of a later day": notes[1],
	} {
		report, err := audit.Verify(context.Background(), dir, audit.VerifyConfig{Key: key, From: []byte(from)})
		if what == "of a later day" {
			if err != nil || report.Begin != 14 || report.Records != 5 {
				t.Errorf("from one %s: got %+v (%v), want the 5 behind it", what, report, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("from one %s: got no error", what)
		}
	}
	script := []scriptCase{{"partial", dir, key, false}}
	scriptAgrees(t, script)
}

func goldenNotesOf(t *testing.T, name string) []string {
	t.Helper()
	dir, _ := golden(t, name)
	return goldenNotes(t, dir)
}

func TestALineThatIsAlteredBehindTheCheckpointToBeginAtIsFound(t *testing.T) {
	t.Parallel()
	dir, key := goldenCopy(t, "three-days")
	from := []byte(goldenNotes(t, dir)[0])
	f := newForger(t, dir)
	f.replace(secondDay, 3, "user_1", "user_2")
	f.rechain()
	remove(t, dir, firstDay, firstNotes)
	_, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key, From: from})
	var at *audit.VerifyError
	if !errors.As(err, &at) || at.File != secondDay || at.Seq != 14 {
		t.Errorf("got %v, want it found at the checkpoint of seq 14", err)
	}
}
