package audit_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"tollbook/audit"
)

// goldenKey returns the verifier key of a golden trail.
func goldenKey(f *testing.F, name string) string {
	f.Helper()
	key, err := os.ReadFile(goldenFolder + "/" + name + ".key")
	if err != nil {
		f.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

// goldenSeeds returns the histories of the golden trails.
func goldenSeeds(f *testing.F) (histories [][]byte) {
	f.Helper()
	for _, name := range []string{"one-day", "rotated", "three-days"} {
		dir := goldenFolder + "/" + name + "/"
		for _, day := range []string{"1", "2", "3"} {
			if data, err := os.ReadFile(dir + "checkpoints_2026030" + day + ".txt"); err == nil {
				histories = append(histories, data)
			}
		}
	}
	return histories
}

func FuzzCheckpoint(f *testing.F) {
	for _, history := range goldenSeeds(f) {
		text, _, _ := bytes.Cut(history, []byte("\n\n"))
		f.Add(string(text) + "\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := audit.ParseCheckpoint(text)
		if err != nil {
			if len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Errorf("got error %q, which holds the text", err)
			}
			return
		}
		if again := c.Text(); again != text {
			t.Errorf("accepted %q\nwrites   %q", text, again)
		}
		if again, err := audit.ParseCheckpoint(c.Text()); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("got %+v (%v), want %+v", again, err, c)
		}
	})
}

// Nobody but the key's owner makes a checkpoint that is taken.
func FuzzSignedCheckpoint(f *testing.F) {
	key := goldenKey(f, "one-day")
	good := make(map[string]bool)
	for _, history := range goldenSeeds(f) {
		f.Add(history)
		if _, err := audit.CheckNote(history, key); err == nil {
			good[string(history)] = true
		}
	}
	if len(good) != 1 {
		f.Fatalf("got %d good checkpoints, want the one of one-day", len(good))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		text, _, _ := strings.Cut(string(msg), "\n\n")
		for one := range good {
			if strings.HasPrefix(one, text+"\n\n") {
				return // signatures of others may stand beside it
			}
		}
		if c, err := audit.CheckNote(msg, key); err == nil {
			t.Errorf("took %q as %+v", msg, c)
		}
	})
}

func FuzzNotes(f *testing.F) {
	for _, history := range goldenSeeds(f) {
		f.Add(history)
		f.Add(bytes.Join([][]byte{history, history}, []byte("\n")))
	}
	f.Fuzz(func(t *testing.T, history []byte) {
		var notes [][]byte
		err := audit.ScanNotes(history, func(msg []byte, end int64) error {
			notes = append(notes, bytes.Clone(msg))
			if end < int64(len(msg)) || !bytes.Equal(history[end-int64(len(msg)):end], msg) {
				t.Errorf("the note that ends at %d is another", end)
			}
			_ = audit.ReadsCheckpoint(msg)
			return nil
		})
		if joined := bytes.Join(notes, []byte("\n")); err == nil && !bytes.Equal(joined, history) {
			t.Errorf("got %q, want %q", joined, history)
		}
	})
}

// A proof that is taken is of a line of the log.
func FuzzProof(f *testing.F) {
	key, lines := goldenKey(f, "one-day"), make(map[string]bool)
	for seq := int64(1); seq <= 11; seq++ {
		p, err := audit.Prove(f.Context(), goldenFolder+"/one-day", seq, audit.ProveConfig{})
		if err != nil {
			f.Fatal(err)
		}
		lines[string(p.Line)] = true
		f.Add(p.Text())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := audit.ParseProof(text)
		if err != nil {
			return
		}
		if again := p.Text(); !bytes.Equal(again, text) {
			t.Errorf("accepted %q\nwrites   %q", text, again)
		}
		if r, _, err := p.Check(key); err == nil && !lines[string(p.Line)] {
			t.Errorf("took a proof of seq %d, which is no line of the log: %s", r.Seq, p.Line)
		}
	})
}

func FuzzConsistency(f *testing.F) {
	key, seeds := goldenKey(f, "three-days"), 0
	for _, history := range goldenSeeds(f) {
		older, _, _ := bytes.Cut(history, []byte("\n\ntollbook/"))
		dir := goldenFolder + "/three-days"
		if p, err := audit.ProveConsistency(f.Context(), dir, older, audit.ProveConfig{}); err == nil {
			f.Add(p.Text())
			seeds++
		}
	}
	if seeds != 3 {
		f.Fatalf("got %d proofs, want one from each history", seeds)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := audit.ParseConsistency(text)
		if err != nil {
			return
		}
		if again := p.Text(); !bytes.Equal(again, text) {
			t.Errorf("accepted %q\nwrites   %q", text, again)
		}
		if older, newer, err := p.Check(key); err == nil && (older.Size > newer.Size || newer.Size > 19) {
			t.Errorf("took a proof from %d lines to %d of a log of 19", older.Size, newer.Size)
		}
	})
}
