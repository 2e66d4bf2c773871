package audit_test

import (
	"bytes"
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
	"checkpoint of no lines put before": {
		trail: "three-days", change: func(f *forger) {
			none := f.signed(goldenPrefix{file: firstDay}, f.parsed(goldenNotes(f.t, f.dir)[0]))
			edit(f.t, f.dir, firstNotes, func(b []byte) []byte { return append([]byte(none+"\n"), b...) })
		},
		found: place{firstNotes, 0, 0}, cause: "it covers no line",
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
	"signed with the key in force, of an end that is elsewhere": {
		trail: "one-day", change: forgeCheckpoint(func(p *goldenPrefix) { p.offset-- }),
		found: place{"checkpoint", 0, 11}, cause: "it ends at byte 8033 of " + firstDay + ", and line 11 at byte 8034",
	},
	"signed with the key in force, of another file": {
		trail: "one-day", change: forgeCheckpoint(func(p *goldenPrefix) { p.file = secondDay }),
		found: place{"checkpoint", 0, 11}, cause: "it ends at byte 8034 of " + secondDay,
	},
	"signed with the key in force, of other lines": {
		trail: "one-day", change: forgeCheckpoint(func(p *goldenPrefix) { p.edge[0][0] ^= 1 }),
		found: place{firstDay, 11, 11}, cause: "are not those that checkpoint was signed for",
	},
	"signed with the key in force, of more lines": {
		trail: "one-day", change: forgeCheckpoint(func(p *goldenPrefix) { p.size = 13 }),
		found: place{"checkpoint", 0, 12}, cause: "it knows of 13 lines, and the trail ends after 11",
	},
	"signed with the key in force, of a line that follows another": {
		trail: "one-day", change: func(f *forger) {
			f.claim()
			f.rechain()
			editLine(f.t, f.dir, firstDay, 11, func(b []byte) []byte {
				return prevHash.ReplaceAll(b, []byte(`"prev_hash":"`+zeros+`"`))
			})
			f.sign()
		},
		found: place{firstDay, 11, 11}, cause: "prev_hash is not the hash of the line before",
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

// forgeCheckpoint signs and claims the trail anew, with a change to what the
// newest checkpoint says.
func forgeCheckpoint(change func(*goldenPrefix)) func(*forger) {
	return func(f *forger) {
		f.resign()
		all := f.prefixes()
		last := all[len(all)-1]
		change(&last)
		edit(f.t, f.dir, "checkpoint", func(b []byte) []byte {
			return []byte(f.signed(last, f.parsed(string(b))))
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
