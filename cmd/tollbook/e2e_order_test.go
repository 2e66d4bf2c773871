package main_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDiskComesBeforeUpstreamAndReply reads from the system calls of one request
// what the program promises: its `received` is on disk before the upstream is
// dialled, and its `completed` before the end of the reply leaves.
func TestDiskComesBeforeUpstreamAndReply(t *testing.T) {
	t.Parallel()
	requireStrace(t)
	binary := buildTollbook(t)
	for _, c := range []struct {
		method, path string
		status       int
		held         bool // the whole reply waits, the head included
	}{
		{http.MethodPost, "/jobs", http.StatusCreated, true},
		{http.MethodGet, "/jobs/big", http.StatusOK, false},
		{http.MethodGet, "/jobs/stream", http.StatusOK, false},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, binary)
			l, trace := b.launch.traced(t, "-s", "100000",
				"-e", "trace=openat,fsync,fdatasync,connect,write,writev,pwrite64,sendto,sendmsg")
			s := l.start(t)
			s.waitUntilOK(t, s.admin+"/readyz")
			if got := b.request(t, c.method, c.path); got.status != c.status {
				t.Errorf("got %d %s, want %d", got.status, got.body, c.status)
			}
			s.terminate(t)
			calls := readCalls(t, trace)
			b.wantNamesDurable(t, calls)
			o := orderOf(t, b, calls)
			o.wantUpstreamLast(t)
			o.wantReplyLast(t, c.held)
			b.judge(t)
		})
	}
}

// wantNamesDurable holds a first start to an fsync of the folder that has the day
// file, after it was made, and of the folder that has this folder.
func (b *bench) wantNamesDurable(t *testing.T, calls []call) {
	t.Helper()
	folder := resolved(t, b.trail)
	made := find(t, calls, "making the day file", func(c call) bool {
		return c.name == "openat" && c.ok && strings.Contains(c.text, "O_CREAT") &&
			strings.Contains(c.text, filepath.Base(newestDay(t, b.trail)))
	})
	for _, name := range []string{folder, filepath.Dir(folder)} {
		synced := find(t, calls, "fsync of "+name, func(c call) bool {
			return c.syncs() && c.path == name && (c.begun > made.ended || name != folder)
		})
		answered := find(t, calls, "the first reply", b.isReply)
		if answered.begun < synced.ended {
			t.Errorf("a reply left before the fsync of %s", name)
		}
	}
}

// isReply reports whether the call writes to a client of the proxy.
func (b *bench) isReply(c call) bool { return strings.HasPrefix(c.path, "TCP:["+b.proxy+"->") }

// TestRepairIsDurableStepByStep reads from the system calls of a start after a
// kill that the torn end is kept before it is cut, and that what stays is written
// again, since the kernel may call clean what never reached the disk.
func TestRepairIsDurableStepByStep(t *testing.T) {
	t.Parallel()
	requireStrace(t)
	b := newBench(t, buildTollbook(t))
	b.tear(t)
	l, trace := b.launch.traced(t,
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
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatalf("resolving %s: %v", path, err)
	}
	return real
}

// request sends the request, with a job if it is a POST.
func (b *bench) request(t *testing.T, method, path string) receipt {
	t.Helper()
	if method == http.MethodPost {
		return b.postTo(t.Context(), path)
	}
	got, err := fetch(t.Context(), b.client, "http://"+b.proxy+path, b.tokens.current())
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return got
}

// order is the calls of one request, by what they were for.
type order struct {
	received, completed call   // the writes of the records
	syncs               []call // of the day file
	upstream            []call // to dial it and to write to it
	reply               []call // to write to the client
}

func orderOf(t *testing.T, b *bench, calls []call) (o order) {
	t.Helper()
	day := filepath.Base(newestDay(t, b.trail))
	up := strings.TrimPrefix(b.up.url, "http://")
	dialled := "htons(" + portOf(t, up) + ")"
	for _, c := range calls {
		inDay := filepath.Base(c.path) == day
		switch {
		case inDay && c.syncs():
			o.syncs = append(o.syncs, c)
		case inDay && strings.Contains(c.text, `\"phase\":\"received\"`):
			o.received = c
		case inDay && strings.Contains(c.text, `\"phase\":\"completed\"`):
			o.completed = c
		case c.name == "connect" && strings.Contains(c.text, dialled),
			strings.HasSuffix(c.path, "->"+up+"]"):
			o.upstream = append(o.upstream, c)
		case b.isReply(c):
			o.reply = append(o.reply, c)
		}
	}
	if !o.received.ok || !o.completed.ok || len(o.upstream) < 2 || len(o.reply) == 0 {
		t.Fatalf("the trace does not show the request:\n%+v", o)
	}
	return o
}

// durable returns the line of the trace at which the written record was on disk.
func (o order) durable(t *testing.T, record call) int {
	t.Helper()
	n := slices.IndexFunc(o.syncs, func(s call) bool { return s.begun > record.ended })
	if n < 0 {
		t.Fatalf("no fsync came after %.80s", record.text)
	}
	return o.syncs[n].ended
}

// wantUpstreamLast holds the program to the disk before the first call that has
// to do with the upstream.
func (o order) wantUpstreamLast(t *testing.T) {
	t.Helper()
	durable := o.durable(t, o.received)
	for _, c := range o.upstream {
		if c.begun < durable {
			t.Errorf("before `received` was on disk: %s%.80s", c.name, c.text)
		}
	}
}

// wantReplyLast holds the program to the disk before the last write to the
// client, all of them if the whole reply is held.
func (o order) wantReplyLast(t *testing.T, held bool) {
	t.Helper()
	durable := o.durable(t, o.completed)
	writes := o.reply
	if !held {
		writes = writes[len(writes)-1:]
	}
	for _, c := range writes {
		if c.begun < durable {
			t.Errorf("before `completed` was on disk: %s%.80s", c.name, c.text)
		}
	}
}
