package audit_test

import (
	"bytes"
	"path/filepath"
	"strings"

	"tollbook/audit"
)

// forgedTrails are of somebody who can make chains, trees and signatures, with
// another key than the log's.
var forgedTrails = map[string]trailCase{
	"checkpoint of no lines put before": {
		trail: "three-days", change: func(f *forger) {
			none := f.signed(goldenPrefix{file: firstDay}, f.parsed(goldenNotes(f.t, f.dir)[0]))
			edit(f.t, f.dir, firstNotes, func(b []byte) []byte { return append([]byte(none+"\n"), b...) })
		},
		found: place{firstNotes, 0, 0}, cause: "it covers no line",
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
	"signed with the key in force, of a line of another log": {
		trail: "one-day", change: func(f *forger) {
			editLine(f.t, f.dir, firstDay, 5, func(b []byte) []byte {
				return logID.ReplaceAll(b, []byte(`"log_id":"`+ids+`"`))
			})
			f.resign()
		},
		found: place{firstDay, 5, 5}, cause: "log_id is not that of this log",
	},
	"signed with the key in force, of a day that names another": {
		trail: "three-days", change: func(f *forger) {
			f.claim()
			_, another := golden(f.t, "one-day")
			editLine(f.t, f.dir, secondDay, 1, func(b []byte) []byte {
				return verifierKey.ReplaceAll(b, []byte(`"verifier_key":"`+another+`"`))
			})
			f.rechain()
			f.sign()
		},
		found: place{secondDay, 1, 6}, cause: "names no verifier key of this log",
	},
	"a line that is as long as a line may be": {
		trail: "one-day", change: forgeLength(audit.MaxLine),
	},
	"a line that is one byte longer": {
		trail: "one-day", change: forgeLength(audit.MaxLine + 1),
		found: place{firstDay, 6, 6}, cause: "a line of 32769 bytes, at most 32768",
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
	"signed with the key in force, of an edge that is not the root's": {
		trail: "one-day", change: forgeText(func(text string) string {
			at := strings.Index(text, "edge ") + len("edge ")
			return text[:at] + goldenBase64(sum) + text[at+44:]
		}),
		found: place{"checkpoint", 0, 0}, cause: "the root is not that of the edge",
	},
	"signed with the key in force, of a root that is not the edge's": {
		trail: "one-day", change: forgeText(func(text string) string {
			at := strings.Index(text, "\n11\n") + len("\n11\n")
			return text[:at] + goldenBase64(sum) + text[at+44:]
		}),
		found: place{"checkpoint", 0, 0}, cause: "the root is not that of the edge",
	},
	"signed with the key in force, a size in another form": {
		trail: "one-day", change: forgeText(func(text string) string {
			return strings.Replace(text, "\n11\n", "\n011\n", 1)
		}),
		found: place{"checkpoint", 0, 0}, cause: "not in the one form",
	},
	"signed with the key in force, a time in another form": {
		trail: "one-day", change: forgeText(func(text string) string {
			return strings.Replace(text, "Z\nfile", ".5Z\nfile", 1)
		}),
		found: place{"checkpoint", 0, 0}, cause: "not in the one form",
	},
	"signature of another key beside": {
		trail: "one-day", change: func(f *forger) {
			edit(f.t, f.dir, "checkpoint", func(b []byte) []byte {
				text, _, _ := strings.Cut(string(b), "\n\n")
				_, another, _ := strings.Cut(f.signText(text+"\n"), "\n\n")
				return append(b, another...)
			})
		},
		found: place{"checkpoint", 0, 11}, cause: "it has a signature of another key",
	},
}

// forgeLength signs and claims the trail anew, with a line of so many bytes.
func forgeLength(length int) func(*forger) {
	return func(f *forger) {
		editLine(f.t, f.dir, firstDay, 6, func(b []byte) []byte {
			begin, end := append(bytes.TrimSuffix(b, []byte("}\n")), `,"x":"`...), "\"}\n"
			return append(append(begin, bytes.Repeat([]byte("x"), length-len(begin)-len(end))...), end...)
		})
		f.resign()
	}
}

// forgeText signs and claims the trail anew, with a change to the text of the
// newest checkpoint.
func forgeText(change func(string) string) func(*forger) {
	return func(f *forger) {
		f.resign()
		edit(f.t, f.dir, "checkpoint", func(b []byte) []byte {
			text, _, _ := strings.Cut(string(b), "\n\n")
			return []byte(f.signText(change(text + "\n")))
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
