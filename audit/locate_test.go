package audit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// pad makes a request's line about 20 KiB long.
func pad(id string) *audit.Record {
	r := request(id)
	r.UserAgent = strings.Repeat("x", 20<<10)
	return r
}

// beginPadded has n requests open, one after the other.
func (tr *trail) beginPadded(prefix string, n int) []*audit.Exchange {
	tr.t.Helper()
	all := make([]*audit.Exchange, n)
	for i := range all {
		x, err := tr.Begin(tr.t.Context(), pad(prefix+strconv.Itoa(i)))
		if err != nil {
			tr.t.Fatal(err)
		}
		all[i] = x
	}
	return all
}

// withOpenRecords returns a log that was killed, with 3 requests open from the
// day before and 3 from the beginning of a day file of several MiB, which `open`
// records name.
func withOpenRecords(t *testing.T) (dir string, clock *clock) {
	t.Helper()
	clock = newClock(noon)
	tr := start(t, t.TempDir(), at(clock), inOS)
	tr.beginMany(3)
	clock.Add(24 * time.Hour)
	for i := range 3 {
		tr.begin("today" + strconv.Itoa(i))
	}
	for _, x := range tr.beginPadded("closed", 200) {
		tr.end(x)
	}
	tr.tick()
	dir = copyDir(t, tr.Dir)
	tr.stop()
	return dir, clock
}

var stillOpen = map[string]int{"r0": 1, "r1": 1, "r2": 1, "today0": 1, "today1": 1, "today2": 1}

func wantInterrupted(t *testing.T, what, dir string, want map[string]int) {
	t.Helper()
	got := interruptedIDs(t, dir)
	for id, n := range want {
		if got[id] != n {
			t.Errorf("%s: %s is interrupted %d times, want %d", what, id, got[id], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: got %d requests interrupted, want %d", what, len(got), len(want))
	}
}

func TestAnOpenRecordStandsInEachMiBOfLines(t *testing.T) {
	t.Parallel()
	dir, clock := withOpenRecords(t)
	if n := len(where(records(t, dir), reason("open"))); n < 3 {
		t.Errorf("got %d open records in more than 4 MiB, want 3 or more", n)
	}
	start(t, dir, at(clock), inOS).stop()
	verify(t, dir)
	wantInterrupted(t, "killed", dir, stillOpen)
}

// The search for the open requests must not look at what is torn.
func TestATornEndOfAnyKindDoesNotHideTheOpenRequests(t *testing.T) {
	t.Parallel()
	base, clock := withOpenRecords(t)
	for what, bad := range map[string]string{
		"NULs":             strings.Repeat("\x00", 5<<20),
		"lines of garbage": strings.Repeat("garbage\n", 1<<20),
	} {
		dir := copyDir(t, base)
		name := newest(t, dir)
		good := read(t, name)
		write(t, name, append(good, bad...))
		start(t, dir, at(clock), inOS).stop()
		repaired(t, what, dir, name, len(good), []byte(bad))
		wantInterrupted(t, what, dir, stillOpen)
	}
}

func TestATornDayFileDoesNotHideTheRequestsThatOpenRecordsName(t *testing.T) {
	t.Parallel()
	clock := newClock(noon)
	tr := start(t, t.TempDir(), at(clock), inOS)
	for i := range 3 {
		tr.begin("today" + strconv.Itoa(i))
	}
	for _, x := range tr.beginPadded("closed", 100) {
		tr.end(x)
	}
	clock.Add(24 * time.Hour)
	tr.end(tr.begin("tomorrow"))
	dir := copyDir(t, tr.Dir)
	tr.stop()
	name := newest(t, dir)
	write(t, name, read(t, name)[:40])
	start(t, dir, at(clock), inOS).stop()
	repaired(t, "torn day", dir, name, 0, read(t, name+".torn-0"))
	wantInterrupted(t, "torn day", dir, map[string]int{"today0": 1, "today1": 1, "today2": 1})
}

// Start looks at the end alone; the rest is for verify.
func TestDamageFarBeforeTheEndIsForVerifyToFind(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir(), inOS)
	for range 5 {
		for _, x := range tr.beginPadded("r", 50) {
			tr.end(x)
		}
	}
	tr.stop()
	dir := copyDir(t, tr.Dir)
	name := newest(t, dir)
	data := read(t, name)
	copy(data[len(data)/4:], bytes.Repeat([]byte{0xff}, len(data)/4))
	write(t, name, data)
	start(t, dir).stop()
	_, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{})
	refused(t, err, filepath.Base(name), "line ")
	if err := os.Truncate(name, int64(len(data)/2)); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, dir)
	refused(t, err, "before the newest checkpoint")
}

func TestMoreOpenRequestsThanOneRecordHoldsAreNamedInParts(t *testing.T) {
	t.Parallel()
	for _, open := range []int{audit.MaxOpenSeqs, audit.MaxOpenSeqs + 1, 2*audit.MaxOpenSeqs + 1} {
		tr := start(t, t.TempDir(), inOS)
		tr.beginMany(open)
		for i := range 2 { // in one batch each, so that the group stands right before the last
			for _, x := range tr.beginPadded("closed"+strconv.Itoa(i), 60) {
				tr.end(x)
			}
		}
		dir := copyDir(t, tr.Dir)
		tr.stop()
		name := newest(t, dir)
		data := read(t, name)
		group := bytes.LastIndex(data, []byte(`"reason":"open"`))
		lineEnd := group + bytes.IndexByte(data[group:], '\n') + 1
		for _, size := range []int{len(data), lineEnd, lineEnd - 1, group} {
			torn := copyDir(t, dir)
			write(t, filepath.Join(torn, filepath.Base(name)), data[:size])
			start(t, torn, inOS).stop()
			what := strconv.Itoa(open) + " open, cut at " + strconv.Itoa(size-lineEnd)
			if report := verify(t, torn); len(report.Open) != 0 {
				t.Errorf("%s: got %v open", what, report.Open)
			}
			got := interruptedIDs(t, torn)
			for i := range open {
				if id := "r" + strconv.Itoa(i); got[id] != 1 {
					t.Fatalf("%s: %s is interrupted %d times, want once", what, id, got[id])
				}
			}
		}
	}
}
