package audit_test

import (
	"bytes"
	"maps"
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

// A trailCase changes a trail otherwise than in the form of a line. The zero
// place means that nothing is found, and nothing can be.
type trailCase struct {
	trail   string
	change  func(f *forger)
	withKey bool
	partial bool // the script finds it
	found   place
	cause   string
}

// brokenTrails are of somebody who can't make a chain, a tree or a signature.
var brokenTrails = map[string]trailCase{
	"first day dropped, the rest is partial": {
		trail: "three-days", change: drop(firstDay), partial: true, // and so the report says
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
	"history in another order": {
		trail: "rotated", change: func(f *forger) {
			n := goldenNotes(f.t, f.dir)
			write(f.t, filepath.Join(f.dir, firstNotes), []byte(strings.Join([]string{n[1], n[0], n[2]}, "\n")))
		},
		found: place{firstNotes, 0, 5}, cause: "a checkpoint of fewer lines than the one before it",
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
	"signature with loose bits": {
		trail: "one-day", change: func(f *forger) {
			edit(f.t, f.dir, "checkpoint", func(b []byte) []byte { b[len(b)-3]++; return b })
		},
		found: place{"checkpoint", 0, 11}, cause: "not in the one form",
	},
	"only the last day, and the checkpoint before it": {
		trail: "three-days", change: func(f *forger) {
			second := goldenNotes(f.t, f.dir)[1]
			removeFiles(f.t, f.dir, firstDay, secondDay, firstNotes, "checkpoints_20260302.txt",
				"checkpoints_20260303.txt")
			write(f.t, filepath.Join(f.dir, "checkpoint"), []byte(second))
		},
		found: place{"checkpoint", 0, 0}, cause: "no checkpoint covers any of the records",
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
	return func(f *forger) { removeFiles(f.t, f.dir, names...) }
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

func goldenCases() map[string]trailCase {
	all := maps.Clone(brokenTrails)
	maps.Copy(all, forgedTrails)
	return all
}

func TestABadTrailIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	var script []scriptCase
	for name, c := range goldenCases() {
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
		script = append(script, scriptCase{name, dir, cfg.Key, c.found == place{} && !c.partial})
	}
	scriptAgrees(t, script)
}
