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
				b := newBed(t, binary)
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
const fsyncs = 12

// failFsync runs the program with EIO for the nth fsync and fdatasync.
func (b *bed) failFsync(t *testing.T, nth int) {
	t.Helper()
	l, trace := b.traced(t, "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", nth))
	s := l.start(t)
	if b.startedOrExited(t, s) {
		b.useUntilFailure(t, s)
	}
	s.awaitExit(t)
	calls := readCalls(t, trace)
	at := wantNotRetried(t, calls)
	if at > 0 {
		wantDiskError(t, s)
		if out := s.output.String(); !strings.Contains(out, "sync") {
			t.Errorf("the fsync is not named:\n%s", out)
		}
	} else {
		s.wantExit(t, 0)
	}
	t.Logf("call %d of %d failed (0: none)", at, len(calls))
}

// useUntilFailure asks until a request fails, then shuts the program down unless
// it ends by itself.
func (b *bed) useUntilFailure(t *testing.T, s *sidecar) {
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

// TestFailingDiskFailsTheRequest fails the write and the fsync of a record that a
// request waits for, and those of a shutdown.
func TestFailingDiskFailsTheRequest(t *testing.T) {
	t.Parallel()
	requireStrace(t)
	binary := buildTollbook(t)
	for _, calls := range []string{"fsync,fdatasync", "write"} {
		for _, c := range []struct {
			record string
			use    func(b *bed, t *testing.T, s *sidecar)
		}{
			{"received", (*bed).failReceived},
			{"completed", (*bed).failCompleted},
			{"stop", func(_ *bed, t *testing.T, s *sidecar) {
				t.Helper()
				s.signal(t, syscall.SIGTERM)
			}},
		} {
			t.Run(calls+" of "+c.record, func(t *testing.T) {
				t.Parallel()
				b := newBed(t, binary)
				s := b.ready(t)
				b.wantCreated(t)
				b.hold(t.Context(), t)
				b.hold(t.Context(), t) // keeps the program from ending at once
				s.attach(t, "-P", newestDay(t, b.trail), "-e", "inject="+calls+":error=EIO")
				c.use(b, t, s)
				wantDiskError(t, s)
				b.recovered(t)
			})
		}
	}
}

func (b *bed) failReceived(t *testing.T, s *sidecar) {
	t.Helper()
	b.wantUnavailable(t)
	b.wantNoMore(t, s)
}

func (b *bed) failCompleted(t *testing.T, s *sidecar) {
	t.Helper()
	b.up.answerHeld(t)
	b.wantRefused(t, <-b.held, http.StatusInternalServerError, "audit_outcome_unrecorded")
	b.wantNoMore(t, s)
}

// wantNoMore holds a program that lost its disk to refusals until it has ended.
func (b *bed) wantNoMore(t *testing.T, s *sidecar) {
	t.Helper()
	client := newClient(t)
	for deadline := time.Now().Add(patience); !s.hasExited() && time.Now().Before(deadline); {
		if got := b.post(t); got.status != 0 && got.status/100 != 5 {
			t.Errorf("after the disk failed: got %d %s, want 503", got.status, got.body)
		}
		if err := statusOK(t.Context(), client, s.admin+"/readyz"); err == nil {
			t.Error("after the disk failed: /readyz says 200")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// wantDiskError holds the program to an end that names the disk's error.
func wantDiskError(t *testing.T, s *sidecar) {
	t.Helper()
	s.wantExit(t, 1)
	if out := s.output.String(); !strings.Contains(out, "input/output error") {
		t.Errorf("the cause is not named:\n%s", out)
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
