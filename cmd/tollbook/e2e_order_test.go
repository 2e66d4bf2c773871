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
			b := newBed(t, binary)
			l, trace := b.traced(t, "-s", "100000",
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
func (b *bed) wantNamesDurable(t *testing.T, calls []call) {
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
func (b *bed) isReply(c call) bool { return strings.HasPrefix(c.path, "TCP:["+b.proxy+"->") }

// request sends the request, with a job if it is a POST.
func (b *bed) request(t *testing.T, method, path string) receipt {
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

func orderOf(t *testing.T, b *bed, calls []call) (o order) {
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
