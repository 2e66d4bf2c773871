package audit_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tollbook/audit"
)

func prove(t *testing.T, dir string, seq int64, cfg audit.ProveConfig) *audit.Proof {
	t.Helper()
	p, err := audit.Prove(t.Context(), dir, seq, cfg)
	if err != nil {
		t.Fatalf("Prove %d: %v", seq, err)
	}
	return p
}

// grown returns a log with a checkpoint at each size up to n, and these.
func grown(t *testing.T, n int) (tr *trail, notes [][]byte) {
	t.Helper()
	tr = start(t, t.TempDir(), inOS)
	for {
		tr.tick()
		notes = append(notes, read(t, filepath.Join(tr.Dir, "checkpoint")))
		if tr.Head().Seq >= int64(n) {
			return tr, notes
		}
		if err := tr.Record(t.Context(), "keys_changed", nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEachRecordOfLogsOfAnySizeIsProved(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir(), inOS)
	for tr.Head().Seq < 40 {
		tr.tick()
		size := tr.Head().Seq
		for seq := int64(1); seq <= size; seq++ {
			p := prove(t, tr.Dir, seq, audit.ProveConfig{})
			r, c, err := p.Check(tr.VerifierKey())
			if err != nil || r.Seq != seq || c.Size != size {
				t.Fatalf("seq %d of %d: %v", seq, size, err)
			}
			again, err := audit.ParseProof(p.Text())
			if err != nil || string(again.Text()) != string(p.Text()) {
				t.Fatalf("seq %d of %d: it is not read as it was written (%v)", seq, size, err)
			}
		}
		for range 1 + size/8 {
			if err := tr.Record(t.Context(), "keys_changed", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAnyAlteredByteOfAProofIsFound(t *testing.T) {
	t.Parallel()
	tr, _ := grown(t, 11)
	text := prove(t, tr.Dir, 6, audit.ProveConfig{}).Text()
	for i := range text {
		for _, bit := range []byte{1, 0x20} {
			altered := append([]byte(nil), text...)
			altered[i] ^= bit
			p, err := audit.ParseProof(altered)
			if err == nil {
				_, _, err = p.Check(tr.VerifierKey())
			}
			if err == nil {
				t.Errorf("byte %d (%q): got no error", i, text[i])
			}
		}
	}
	for size := range text {
		if p, err := audit.ParseProof(text[:size]); err == nil {
			if _, _, err := p.Check(tr.VerifierKey()); err == nil {
				t.Errorf("cut at %d: got no error", size)
			}
		}
	}
}

func TestAProofIsOfTheLogOfItsKeyAlone(t *testing.T) {
	t.Parallel()
	tr, _ := grown(t, 4)
	p := prove(t, tr.Dir, 2, audit.ProveConfig{})
	other := start(t, t.TempDir())
	for _, key := range []string{other.VerifierKey(), audit.NewSigningKey().VerifierKey(), "", "x"} {
		if _, _, err := p.Check(key); err == nil {
			t.Errorf("key %q: got no error", key)
		}
	}
	moved := *p
	moved.Index++
	if _, _, err := moved.Check(tr.VerifierKey()); err == nil {
		t.Error("at another index: got no error")
	}
}

func TestWhatNoCheckpointCoversIsNotProved(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir(), inOS)
	tr.begin("r1") // after the last tick
	for _, seq := range []int64{-1, 0, tr.Head().Seq, 1 << 40} {
		_, err := audit.Prove(t.Context(), tr.Dir, seq, audit.ProveConfig{})
		refused(t, err, "no checkpoint covers seq "+strconv.FormatInt(seq, 10))
	}
	_, err := audit.Prove(t.Context(), t.TempDir(), 1, audit.ProveConfig{})
	refused(t, err, "checkpoint")
}

func TestEachLogIsTheBeginningOfEachLaterOne(t *testing.T) {
	t.Parallel()
	const n = 24
	tr := start(t, t.TempDir(), inOS)
	var notes [][]byte
	for tr.Head().Seq < n {
		tr.tick()
		notes = append(notes, read(t, filepath.Join(tr.Dir, "checkpoint")))
		for _, older := range notes {
			p, err := audit.ProveConsistency(t.Context(), tr.Dir, older, audit.ProveConfig{})
			if err != nil {
				t.Fatal(err)
			}
			a, b, err := p.Check(tr.VerifierKey())
			if err != nil || a.Size > b.Size || b.Size != tr.Head().Seq {
				t.Fatalf("%d in %d: %v", sizeOf(t, string(older)), tr.Head().Seq, err)
			}
			again, err := audit.ParseConsistency(p.Text())
			if err != nil || string(again.Text()) != string(p.Text()) {
				t.Fatalf("it is not read as it was written: %v", err)
			}
		}
		if err := tr.Record(t.Context(), "keys_changed", nil); err != nil {
			t.Fatal(err)
		}
	}
	p, err := audit.ProveConsistency(t.Context(), tr.Dir, notes[4], audit.ProveConfig{})
	if err != nil {
		t.Fatal(err)
	}
	text := p.Text()
	for i := range text {
		altered := append([]byte(nil), text...)
		altered[i] ^= 1
		p, err := audit.ParseConsistency(altered)
		if err == nil {
			_, _, err = p.Check(tr.VerifierKey())
		}
		if err == nil {
			t.Errorf("byte %d (%q): got no error", i, text[i])
		}
	}
}

func TestACheckpointOfAnotherLogIsNoBeginning(t *testing.T) {
	t.Parallel()
	tr, _ := grown(t, 3)
	other, notes := grown(t, 5)
	_, err := audit.ProveConsistency(t.Context(), tr.Dir, notes[0], audit.ProveConfig{})
	refused(t, err, "of another log")
	_, err = audit.ProveConsistency(t.Context(), tr.Dir, []byte("x"), audit.ProveConfig{})
	refused(t, err, "not a checkpoint")
	write(t, filepath.Join(other.Dir, "checkpoint"), notes[0])
	_, err = audit.ProveConsistency(t.Context(), other.Dir, notes[2], audit.ProveConfig{})
	refused(t, err, "the newest of")
}

func TestTheRestOfATrailIsProvedFromACheckpoint(t *testing.T) {
	t.Parallel()
	tr, _ := grown(t, 7)
	tr.clock.Add(24 * time.Hour)
	for range 9 {
		tr.end(tr.begin("r"))
	}
	tr.tick()
	history := read(t, filepath.Join(tr.Dir, historyName))
	first := dayFiles(t, tr.Dir)[0]
	if err := os.Rename(first, filepath.Join(t.TempDir(), "moved")); err != nil {
		t.Fatal(err)
	}
	_, err := audit.Prove(t.Context(), tr.Dir, 9, audit.ProveConfig{})
	refused(t, err, "give the checkpoint to begin at")
	from := audit.ProveConfig{From: history}
	_, err = audit.Prove(t.Context(), tr.Dir, 7, from)
	refused(t, err, "moved away")
	for seq := sizeOf(t, string(history)) + 1; seq <= tr.Head().Seq; seq++ {
		if r, _, err := prove(t, tr.Dir, seq, from).Check(tr.VerifierKey()); err != nil || r.Seq != seq {
			t.Errorf("seq %d: %v", seq, err)
		}
	}
}

func TestATamperedTrailProvesNothing(t *testing.T) {
	t.Parallel()
	tr, notes := grown(t, 9)
	data := read(t, newest(t, tr.Dir))
	dir := copyDir(t, tr.Dir)
	for at := 0; at < len(data); at += 13 {
		altered := append([]byte(nil), data...)
		altered[at] ^= 1
		write(t, newest(t, dir), altered)
		for _, seq := range []int64{1, 9} {
			if p, err := audit.Prove(t.Context(), dir, seq, audit.ProveConfig{}); err == nil || p != nil {
				t.Errorf("byte %d, seq %d: got a proof and %v", at, seq, err)
			}
		}
		if p, err := audit.ProveConsistency(t.Context(), dir, notes[1], audit.ProveConfig{}); err == nil || p != nil {
			t.Errorf("byte %d: got a proof of consistency and %v", at, err)
		}
	}
}
