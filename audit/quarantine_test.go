package audit_test

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// damaged returns a log's folder that start refuses.
func damaged(t *testing.T) string {
	t.Helper()
	dir := killed(t)
	name := newest(t, dir)
	data := read(t, name)
	data[bytes.IndexByte(data, '\n')+20] ^= 1 // in the last line that is covered
	write(t, name, data)
	_, err := open(t, dir)
	refused(t, err, "quarantine")
	return dir
}

// files maps the names of a folder's files to what they hold.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			all[e.Name()] = string(read(t, filepath.Join(dir, e.Name())))
		}
	}
	return all
}

func text(o audit.Object, name string) string {
	v, _ := o.Get(name)
	s, _ := v.Str()
	return s
}

func TestADamagedLogIsSetAsideWholeAndTheNextTellsOfIt(t *testing.T) {
	t.Parallel()
	dir, clock := damaged(t), newClock(noon)
	before := files(t, dir)
	moved, err := audit.Quarantine(configOf(dir, clock), audit.QuarantineConfig{Why: "the disk broke"})
	if err != nil {
		t.Fatalf("Quarantine: %v", err)
	}
	if got := files(t, filepath.Join(dir, moved)); !maps.Equal(got, before) {
		t.Error("the files that were moved are not what they were")
	}
	verify(t, dir)
	tells := where(records(t, dir), reason("quarantine"))
	if len(tells) != 1 || tells[0].Seq != 2 {
		t.Fatalf("got %v, want one record right behind the day's", tells)
	}
	about := tells[0].Metadata
	size, _ := about.Get("tree_size")
	if text(about, "folder") != moved || text(about, "why") != "the disk broke" ||
		!strings.Contains(text(about, "cause"), "damaged") || text(about, "log_id") == tells[0].LogID ||
		!reflect.DeepEqual(size, audit.Int(2)) {
		t.Errorf("got %v, want the folder, why, the cause and the old log", about)
	}
	_, err = audit.Quarantine(configOf(dir, clock), audit.QuarantineConfig{Why: "again"})
	if !errors.Is(err, audit.ErrSound) {
		t.Errorf("got %v of the new log, want ErrSound", err)
	}
}

func TestALaterQuarantineNamesTheEarlierOnes(t *testing.T) {
	t.Parallel()
	dir, clock := damaged(t), newClock(noon)
	first, err := audit.Quarantine(configOf(dir, clock), audit.QuarantineConfig{Why: "one"})
	if err != nil {
		t.Fatal(err)
	}
	write(t, newest(t, dir), []byte("damaged\n"))
	clock.Add(time.Hour)
	second, err := audit.Quarantine(configOf(dir, clock), audit.QuarantineConfig{Why: "two"})
	if err != nil {
		t.Fatal(err)
	}
	about := where(records(t, dir), reason("quarantine"))[0].Metadata
	if text(about, "folder") != second || text(about, "earlier_1") != first {
		t.Errorf("got %v, want %s and before it %s", about, second, first)
	}
	verify(t, dir)
}

func TestASoundLogIsNotSetAside(t *testing.T) {
	t.Parallel()
	dir := killed(t)
	before := contents(t, dir)
	_, err := audit.Quarantine(configOf(dir, newClock(noon)), audit.QuarantineConfig{Why: "no reason"})
	if !errors.Is(err, audit.ErrSound) {
		t.Errorf("got %v, want ErrSound", err)
	}
	if !maps.Equal(contents(t, dir), before) {
		t.Error("the folder was changed")
	}
}

// A wrong key in the settings is no reason to give a log up.
func TestAWrongKeyIsTheSettingsFault(t *testing.T) {
	t.Parallel()
	given := t.TempDir()
	right := audit.NewSigningKey()
	start(t, given, withKey(right)).stop()
	for what, dir := range map[string]string{"key in the folder": killed(t), "key that is given": given} {
		before := contents(t, dir)
		cfg := configOf(dir, newClock(noon), withKey(audit.NewSigningKey()))
		_, err := audit.Quarantine(cfg, audit.QuarantineConfig{Why: "no reason"})
		if err == nil || errors.Is(err, audit.ErrSound) {
			t.Errorf("%s: got %v, want that the key is another", what, err)
		}
		if !maps.Equal(contents(t, dir), before) {
			t.Errorf("%s: the folder was changed", what)
		}
	}
	start(t, given, withKey(right)).stop()
}

func TestAQuarantineThatDiedIsRunAgain(t *testing.T) {
	t.Parallel()
	base, clock := damaged(t), newClock(noon)
	var names []string
	for name := range files(t, base) {
		names = append(names, name)
	}
	first := func(name string) int { return len(strings.TrimPrefix(name, "checkpoint")) } // 0: it is moved first
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(first(a), first(b)) })
	const aside = "quarantine_20260301T120000.000Z"
	for n := 1; n <= len(names); n++ {
		dir := copyDir(t, base)
		if err := os.Mkdir(filepath.Join(dir, aside), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range names[:n] {
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, aside, name)); err != nil {
				t.Fatal(err)
			}
		}
		clock.Add(time.Second)
		if n < len(names) {
			if _, err := open(t, dir, at(clock)); err == nil {
				t.Fatalf("moved %v: start was not refused", names[:n])
			}
			if _, err := audit.Quarantine(configOf(dir, clock), audit.QuarantineConfig{Why: "again"}); err != nil {
				t.Fatalf("moved %v: %v", names[:n], err)
			}
		} else { // all was moved: the next log tells of it
			start(t, dir, at(clock)).stop()
		}
		verify(t, dir)
		about := where(records(t, dir), reason("quarantine"))
		if len(about) != 1 || text(about[0].Metadata, "folder") != aside &&
			text(about[0].Metadata, "earlier_1") != aside {
			t.Errorf("moved %v: got %v, want a record that names %s", names[:n], about, aside)
		}
	}
}

func TestAFolderWithoutALogHasNothingToSetAside(t *testing.T) {
	t.Parallel()
	_, err := audit.Quarantine(configOf(t.TempDir(), newClock(noon)), audit.QuarantineConfig{Why: "no reason"})
	if !errors.Is(err, audit.ErrSound) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want ErrSound", err)
	}
}
