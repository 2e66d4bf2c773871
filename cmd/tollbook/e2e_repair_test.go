package main_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRepairIsDurableStepByStep reads from the system calls of a start after a
// kill that the torn end is kept before it is cut, and that what stays is written
// again, since the kernel may call clean what never reached the disk.
func TestRepairIsDurableStepByStep(t *testing.T) {
	t.Parallel()
	requireStrace(t)
	b := newBed(t, buildTollbook(t))
	b.tear(t)
	l, trace := b.traced(t,
		"-e", "trace=fsync,fdatasync,pwrite64,write,ftruncate,accept4,openat")
	s := l.start(t)
	s.waitUntilOK(t, s.admin+"/readyz")
	s.terminate(t)
	calls, day := readCalls(t, trace), resolved(t, newestDay(t, b.trail))
	isTorn := func(c call) bool { return strings.Contains(c.path, ".torn-") }
	isDay := func(c call) bool { return c.path == day }

	wantInOrder(t, calls, []step{
		{"writing the evidence", func(c call) bool { return isTorn(c) && strings.HasPrefix(c.name, "pwrite") }},
		{"fsync of the evidence", func(c call) bool { return isTorn(c) && c.syncs() }},
		{"fsync of the folder", func(c call) bool { return c.path == filepath.Dir(day) && c.syncs() }},
		{"cutting the day file", func(c call) bool { return isDay(c) && c.name == "ftruncate" }},
		{"fsync of what is kept", func(c call) bool { return isDay(c) && c.syncs() }},
		{"writing what is kept again", func(c call) bool { return isDay(c) && c.name == "pwrite64" }},
		{"fsync of what was written again", func(c call) bool { return isDay(c) && c.syncs() }},
		{"writing what recovery says", func(c call) bool {
			return isDay(c) && c.name == "write" && strings.Contains(c.text, "timestamp")
		}},
		{"fsync of what recovery says", func(c call) bool { return isDay(c) && c.syncs() }},
	})
	b.judge(t)
}

// A step is a call that must come.
type step struct {
	what string
	is   func(call) bool
}

// wantInOrder holds the calls to the steps, each begun after the one before had
// ended.
func wantInOrder(t *testing.T, calls []call, steps []step) {
	t.Helper()
	ended := 0
	for _, s := range steps {
		found := find(t, calls, s.what, func(c call) bool { return c.ok && c.begun > ended && s.is(c) })
		ended = found.ended
	}
}

// find returns the first such call.
func find(t *testing.T, calls []call, what string, is func(call) bool) call {
	t.Helper()
	n := slices.IndexFunc(calls, is)
	if n < 0 {
		t.Fatalf("%s: not in the trace, or not where it must be", what)
	}
	return calls[n]
}

// syncs reports whether the call made something durable.
func (c call) syncs() bool { return strings.HasSuffix(c.name, "sync") && c.ok }

// resolved returns the path as the system sees it, without links.
func resolved(t *testing.T, path string) string {
	t.Helper()
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatalf("resolving %s: %v", path, err)
	}
	return target
}
