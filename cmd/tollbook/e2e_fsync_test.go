package main_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNoFsyncIsBelievedAfterOneFailed fails one fsync after the other, from the
// first of a start to those of a shutdown: whichever it is, nothing is answered
// with success any more, the program ends by itself, and the next one finds a
// trail that it can go on with.
func TestNoFsyncIsBelievedAfterOneFailed(t *testing.T) {
	t.Parallel()
	requireStrace(t)
	binary := buildTollbook(t)
	for _, c := range []struct {
		name string
		torn bool // the last run was killed while it wrote, so that start repairs
	}{{"fresh trail", false}, {"torn trail", true}} {
		for nth := 1; nth <= fsyncs; nth++ {
			t.Run(fmt.Sprintf("%s, fsync %d", c.name, nth), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, binary)
				if c.torn {
					b.tear(t)
				}
				b.failFsync(t, nth)
				b.recovered(t)
			})
		}
	}
}

// fsyncs is how many calls are failed in turn: more than a thread makes in a
// run. strace counts the calls of each thread by themselves, so that a run may
// have its first failure at a later call than the nth, and another one.
const fsyncs = 16

// failFsync runs the program with EIO for the nth fsync and fdatasync.
func (b *bench) failFsync(t *testing.T, nth int) {
	t.Helper()
	l, trace := b.launch.traced(t, "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", nth))
	s := l.start(t)
	if b.startedOrExited(t, s) {
		b.useUntilFailure(t, s)
	}
	<-s.exited
	calls := readCalls(t, trace)
	at := wantNotRetried(t, calls)
	if at > 0 {
		wantSyncError(t, s)
	} else {
		s.wantExit(t, 0)
	}
	t.Logf("call %d of %d failed (0: none)", at, len(calls))
}

// useUntilFailure asks until a request fails, then shuts the program down unless
// it ends by itself.
func (b *bench) useUntilFailure(t *testing.T, s *sidecar) {
	t.Helper()
	const requests = 8
	held, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.ask(held, t) // keeps the program from ending at once, so that it can be asked
	for range requests {
		if got := b.post(t); got.status != http.StatusCreated {
			b.wantNoMore(t, s)
			return
		}
	}
	cancel()
	s.signal(t, syscall.SIGTERM)
}

// TestFailedFsyncFailsTheRequest fails the fsync of a record that a request
// waits for, and the one of a shutdown.
func TestFailedFsyncFailsTheRequest(t *testing.T) {
	t.Parallel()
	requireStrace(t)
	binary := buildTollbook(t)
	for _, c := range []struct {
		name string
		fail func(t *testing.T, b *bench, s *sidecar)
	}{
		{"received", func(t *testing.T, b *bench, s *sidecar) {
			t.Helper()
			b.hold(t.Context(), t)
			seen := b.up.requests()
			b.failDayFile(t, s)
			b.wantRefused(t, b.post(t), http.StatusServiceUnavailable, "audit_unavailable")
			b.wantNoMore(t, s)
			if got := b.up.requests(); got != seen {
				t.Errorf("the upstream saw %d requests whose record was not on disk", got-seen)
			}
		}},
		{"completed", func(t *testing.T, b *bench, s *sidecar) {
			t.Helper()
			b.hold(t.Context(), t)
			replies := b.hold(t.Context(), t)
			b.failDayFile(t, s)
			b.up.answerHeld(t)
			b.wantRefused(t, <-replies, http.StatusInternalServerError, "audit_outcome_unrecorded")
			b.wantNoMore(t, s)
		}},
		{"stop", func(t *testing.T, b *bench, s *sidecar) {
			t.Helper()
			b.failDayFile(t, s)
			s.signal(t, syscall.SIGTERM)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, binary)
			s := b.ready(t)
			b.wantCreated(t)
			c.fail(t, b, s)
			wantSyncError(t, s)
			b.recovered(t)
		})
	}
}

// failDayFile makes every fsync of the day file fail from now on.
func (b *bench) failDayFile(t *testing.T, s *sidecar) {
	t.Helper()
	s.attach(t, "-P", newestDay(t, b.trail), "-e", "inject=fsync,fdatasync:error=EIO")
}

// wantNoMore holds a program whose fsync failed to refusals until it has ended.
func (b *bench) wantNoMore(t *testing.T, s *sidecar) {
	t.Helper()
	client := newClient(t)
	for deadline := time.Now().Add(patience); !s.hasExited() && time.Now().Before(deadline); {
		if got := b.post(t); got.status != 0 && got.status/100 != 5 {
			t.Errorf("after a failed fsync: got %d %s, want 503", got.status, got.body)
		}
		if err := statusOK(t.Context(), client, s.admin+"/readyz"); err == nil {
			t.Error("after a failed fsync: /readyz says 200")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// wantSyncError holds the program to an end that names the fsync.
func wantSyncError(t *testing.T, s *sidecar) {
	t.Helper()
	s.wantExit(t, 1)
	if out := s.output.String(); !strings.Contains(out, "sync") ||
		!strings.Contains(out, "input/output error") {
		t.Errorf("the failed fsync is not named:\n%s", out)
	}
}

// wantNotRetried holds the program to no other fsync of a file that one failed
// for. It returns which call failed first, from 1; 0 if none did.
func wantNotRetried(t *testing.T, calls []call) (first int) {
	t.Helper()
	bad := map[string]bool{}
	for n, c := range calls {
		if bad[c.path] {
			t.Errorf("%s%s, after one had failed", c.name, c.text)
		}
		if c.injected && first == 0 {
			first = n + 1
		}
		bad[c.path] = bad[c.path] || c.injected
	}
	return first
}
