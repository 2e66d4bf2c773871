package audit_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"tollbook/audit"
)

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
					removeFiles(t, dir, filepath.Base(later))
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
					if at == nil || !there && (!last || what != "deleted") {
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
	removeFiles(t, dir, thirdDay, "checkpoints_20260303.txt")
	if at := verifyError(t, dir, audit.VerifyConfig{Key: key}); at != nil {
		t.Errorf("without one: got %v, want it good", at)
	}
	at := verifyError(t, dir, audit.VerifyConfig{Key: key, Checkpoints: [][]byte{kept}})
	if want := (place{"a checkpoint from elsewhere", 0, 15}); placeOf(at) != want {
		t.Errorf("got %v, want %v", at, want)
	}
	if at := verifyError(t, dir, audit.VerifyConfig{Key: key, Checkpoints: [][]byte{[]byte(second)}}); at != nil {
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
	removeFiles(t, dir, firstDay, firstNotes)
	report, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key})
	if err != nil || !report.Partial() || report.FirstSeq != 6 {
		t.Errorf("got %+v (%v), want it partial from seq 6", report, err)
	}
	report, err = audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key, From: []byte(notes[0])})
	if err != nil || report.Partial() || report.Begin != 5 || report.Records != 14 {
		t.Errorf("got %+v (%v), want all 14 from seq 6", report, err)
	}
	report, err = audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key, From: []byte(notes[1])})
	if err != nil || report.Begin != 14 || report.Records != 5 {
		t.Errorf("from a later one: got %+v (%v), want the 5 lines behind it", report, err)
	}
	for what, from := range map[string]string{
		"altered":        strings.Replace(notes[0], "time 2026", "time 2027", 1),
		"of another log": goldenNotesOf(t, "one-day")[0],
		"empty":          "\n",
	} {
		if _, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{From: []byte(from)}); err == nil {
			t.Errorf("from one that is %s: got no error", what)
		}
	}
	scriptAgrees(t, []scriptCase{{"partial", dir, key, false}})
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
	removeFiles(t, dir, firstDay, firstNotes)
	_, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key, From: from})
	var at *audit.VerifyError
	if !errors.As(err, &at) || at.File != secondDay || at.Seq != 14 {
		t.Errorf("got %v, want it found at the checkpoint of seq 14", err)
	}
}
