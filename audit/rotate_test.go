package audit_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// configOf returns what a command is given for the log in dir.
func configOf(dir string, c *clock, change ...func(*audit.Config)) audit.Config {
	cfg := audit.WithTicks(audit.Config{Dir: dir, MaxWait: time.Minute}, make(chan time.Time))
	at(c)(&cfg)
	for _, do := range change {
		do(&cfg)
	}
	return cfg
}

func withKey(key audit.SigningKey) func(*audit.Config) {
	return func(cfg *audit.Config) { cfg.SigningKey = key }
}

// folderKey returns the key that is kept in dir.
func folderKey(t *testing.T, dir string) audit.SigningKey {
	t.Helper()
	text := strings.TrimSuffix(string(read(t, filepath.Join(dir, "signing.key"))), "\n")
	key, err := audit.ParseSigningKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rotate changes keys and returns the old and the new verifier key.
func rotate(t *testing.T, cfg audit.Config, next audit.SigningKey) (from, to string) {
	t.Helper()
	from, to, err := audit.RotateKey(t.Context(), cfg, next)
	if err != nil {
		t.Fatalf("RotateKey: %v", err)
	}
	return from, to
}

// verifyWith fails the test unless the trail is good for each of the keys, and
// bad for a foreign one.
func verifyWith(t *testing.T, what, dir string, keys ...string) {
	t.Helper()
	for _, key := range append(keys, "") {
		if _, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: key}); err != nil {
			t.Errorf("%s: Verify with key %q: %v", what, key, err)
		}
	}
	foreign := audit.NewSigningKey().VerifierKey()
	_, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{Key: foreign})
	refused(t, err, "key")
}

func TestARotatedKeyHandsOverToTheNext(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	tr := start(t, dir, at(clock))
	tr.end(tr.begin("r1"))
	tr.stop()
	old := folderKey(t, dir)
	from, to := rotate(t, configOf(dir, clock), audit.SigningKey{})
	if from == to || from != tr.VerifierKey() {
		t.Errorf("got %s and %s, want the old key and another", from, to)
	}
	verifyWith(t, "rotated", dir, from, to)
	before := contents(t, dir)
	_, err := open(t, dir, at(clock), withKey(old))
	refused(t, err, "is not the one in signing.key", "rotate-key")
	if !reflect.DeepEqual(contents(t, dir), before) {
		t.Error("the folder was changed by a start with the old key")
	}
	for range 2 { // today, and over a day
		tr = start(t, dir, at(clock))
		if tr.VerifierKey() != to {
			t.Errorf("got key %s, want the new one", tr.VerifierKey())
		}
		tr.end(tr.begin("r2"))
		clock.Add(24 * time.Hour)
		tr.end(tr.begin("r3"))
		tr.stop()
		verifyWith(t, "gone on", dir, from, to)
	}
}

func TestAKeyThatIsGivenReplacesTheFoldersAndIsNotKeptThere(t *testing.T) {
	t.Parallel()
	dir, clock, next := t.TempDir(), newClock(noon), audit.NewSigningKey()
	start(t, dir, at(clock)).stop()
	from, to := rotate(t, configOf(dir, clock), next)
	for name := range contents(t, dir) {
		if strings.HasPrefix(name, "signing.key") {
			t.Errorf("%s is left", name)
		}
	}
	_, err := open(t, dir, at(clock))
	refused(t, err, "without its signing.key")
	tr := start(t, dir, at(clock), withKey(next))
	tr.end(tr.begin("r1"))
	tr.stop()
	verifyWith(t, "given", dir, from, to)
	// And on to one that is made.
	_, made := rotate(t, configOf(dir, clock, withKey(next)), audit.SigningKey{})
	start(t, dir, at(clock)).stop()
	verifyWith(t, "made", dir, from, to, made)
}

func TestAKeyMayComeBack(t *testing.T) {
	t.Parallel()
	dir, clock, first, second := t.TempDir(), newClock(noon), audit.NewSigningKey(), audit.NewSigningKey()
	start(t, dir, at(clock), withKey(first)).stop()
	rotate(t, configOf(dir, clock, withKey(first)), second)
	rotate(t, configOf(dir, clock, withKey(second)), first)
	tr := start(t, dir, at(clock), withKey(first))
	clock.Add(24 * time.Hour)
	tr.end(tr.begin("r1"))
	tr.stop()
	verifyWith(t, "back", dir, first.VerifierKey(), second.VerifierKey())
}

func TestAKeyThatCannotFollowIsRefusedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	clock, other := newClock(noon), t.TempDir()
	start(t, other).stop()
	for what, word := range map[string]string{"the same": "is the old one", "of another log": "of log"} {
		dir, given := t.TempDir(), audit.SigningKey{}
		if what == "the same" {
			given = audit.NewSigningKey()
		}
		start(t, dir, withKey(given)).stop()
		next := given
		if what == "of another log" {
			next = folderKey(t, other)
		}
		before := contents(t, dir)
		_, _, err := audit.RotateKey(t.Context(), configOf(dir, clock, withKey(given)), next)
		refused(t, err, word)
		if !reflect.DeepEqual(contents(t, dir), before) {
			t.Errorf("%s: the folder was changed", what)
		}
		start(t, dir, withKey(given)).stop()
		verify(t, dir)
	}
}

// steps copies the folder at each call to the disk.
func steps(t *testing.T, dir string, kept *[]string) func(*audit.Config) {
	return func(cfg *audit.Config) {
		keep := func() { *kept = append(*kept, copyDir(t, dir)) }
		*cfg = audit.WithWrap(*cfg, func(_ string, f audit.File) audit.File { return &keptFile{f, keep} })
		*cfg = audit.WithFolderSync(*cfg, func(sync func() error) func() error {
			return func() error {
				keep()
				return sync()
			}
		})
	}
}

// A keptFile calls keep before each call.
type keptFile struct {
	audit.File
	keep func()
}

func (f *keptFile) Write(p []byte) (int, error) {
	f.keep()
	return f.File.Write(p)
}

func (f *keptFile) Sync() error {
	f.keep()
	return nil
}

func (f *keptFile) Close() error {
	f.keep()
	return f.File.Close()
}

// Wherever a rotation dies, also if it is gone on with the day after, start is
// refused until it was run again.
func TestARotationThatDiedIsRunAgain(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]audit.SigningKey{"made": {}, "given": audit.NewSigningKey()} {
		for _, later := range []time.Duration{0, 24 * time.Hour} {
			dir, clock := t.TempDir(), newClock(noon)
			tr := start(t, dir, at(clock), inOS)
			tr.end(tr.begin("r1"))
			tr.stop()
			var kept []string
			rotate(t, configOf(dir, clock, inOS, steps(t, dir, &kept)), next)
			if len(kept) < 10 {
				t.Fatalf("got %d steps, want more", len(kept))
			}
			clock.Add(later)
			for i := 0; i < len(kept); i += 2 {
				left := contents(t, kept[i])
				if _, pending := left["signing.key.new"]; pending {
					_, err := open(t, kept[i], at(clock))
					refused(t, err, "rotation", "rotate-key")
				} else if _, there := left["signing.key"]; !there { // it has ended
					continue
				}
				from, to := rotate(t, configOf(kept[i], clock), next)
				start(t, kept[i], at(clock), withKey(next)).stop()
				verifyWith(t, name, kept[i], from, to)
			}
		}
	}
}

func TestARotationToAnotherKeyThanTheOneThatDiedIsRefused(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	start(t, dir, at(clock)).stop()
	pending := audit.NewSigningKey()
	var kept []string
	rotate(t, configOf(copyDir(t, dir), clock), pending)
	rotate(t, configOf(dir, clock, steps(t, dir, &kept)), pending)
	dir = kept[len(kept)/2]
	_, _, err := audit.RotateKey(t.Context(), configOf(dir, clock), audit.NewSigningKey())
	refused(t, err, "signing.key.new", "another key")
	rotate(t, configOf(dir, clock), pending)
	start(t, dir, at(clock), withKey(pending)).stop()
	verify(t, dir)
}

// The file of the old key is replaced before the new one is taken out.
func TestARotationThatDiedWhileItTookTheKeyOutIsOver(t *testing.T) {
	t.Parallel()
	dir, clock, next := t.TempDir(), newClock(noon), audit.NewSigningKey()
	start(t, dir, at(clock)).stop()
	old := read(t, filepath.Join(dir, "signing.key"))
	from, to := rotate(t, configOf(dir, clock), next)
	for what, key := range map[string]string{"new": next.Private() + "\n", "old": string(old)} {
		died := copyDir(t, dir)
		write(t, filepath.Join(died, "signing.key"), []byte(key))
		tr, err := open(t, died, at(clock), withKey(next))
		if what == "old" { // alone it must not start the log again
			refused(t, err, "rotate-key")
			continue
		}
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		tr.stop()
		verifyWith(t, what, died, from, to)
	}
}

func TestAFolderWithoutALogHasNoKeyToRotate(t *testing.T) {
	t.Parallel()
	_, _, err := audit.RotateKey(t.Context(), configOf(t.TempDir(), newClock(noon)), audit.SigningKey{})
	if refused(t, err, "no log"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist in it", err)
	}
}

// Whoever can write the folder must not be able to hand the log to a key of theirs
// by what they leave there for an honest start or rotation to find.
func TestAKeyThatSomebodyPutThereIsNotAdopted(t *testing.T) {
	t.Parallel()
	clock, theirs := newClock(noon), audit.NewSigningKey()
	dir := t.TempDir()
	tr := start(t, dir, at(clock))
	tr.end(tr.begin("r1"))
	vkey := tr.VerifierKey()
	tr.stop()
	planted := copyDir(t, dir)
	for _, text := range []string{theirs.Private() + "\n", theirs.Private() + "\n" + strings.Repeat("A", 86) + "==\n"} {
		write(t, filepath.Join(planted, "signing.key.new"), []byte(text))
		before := contents(t, planted)
		_, _, err := audit.RotateKey(t.Context(), configOf(planted, clock), audit.SigningKey{})
		refused(t, err, "was not made by rotate-key")
		if !reflect.DeepEqual(contents(t, planted), before) {
			t.Error("the folder was changed")
		}
	}
	// A record that hands over, well chained, behind the newest checkpoint.
	all := records(t, dir)
	last, line := all[len(all)-1], bytes.TrimSuffix(read(t, newest(t, dir)), []byte("\n"))
	forged := *last
	forged.Seq, forged.PrevHash = last.Seq+1, audit.HashLine(line[bytes.LastIndexByte(line, '\n')+1:])
	forged.BootID, forged.Reason = strings.Repeat("0", 32), "key_rotated"
	forged.Metadata = audit.Object{
		{Name: "from", Value: audit.String(vkey)},
		{Name: "to", Value: audit.String(strings.Replace(theirs.VerifierKey(), "tollbook+", "tollbook/"+last.LogID+"+", 1))},
	}
	if err := appendTo(newest(t, dir), string(audit.AppendRecord(nil, &forged))+"\n"); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, dir, at(clock))
	refused(t, err, "key_rotated", "damaged")
	_, _, err = audit.RotateKey(t.Context(), configOf(dir, clock), audit.SigningKey{})
	refused(t, err, "key_rotated")
}

// A key that is in the folder may be taken out of it: it is given from then on.
func TestTheFoldersKeyMayBeTakenOut(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	start(t, dir, at(clock)).stop()
	key := folderKey(t, dir)
	rotate(t, configOf(dir, clock), key)
	if _, there := contents(t, dir)["signing.key"]; there {
		t.Error("the key is still in the folder")
	}
	start(t, dir, at(clock), withKey(key)).stop()
	verify(t, dir)
}
