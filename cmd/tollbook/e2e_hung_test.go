package main_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestHungDiskTrapsNobody lets the disk hang for longer than anybody waits: all
// are answered while it still does, and what was written meanwhile is closed
// once it goes on.
func TestHungDiskTrapsNobody(t *testing.T) {
	t.Parallel()
	requireStrace(t)
	b := newBed(t, buildTollbook(t))
	s := b.ready(t)
	b.wantCreated(t)
	b.hold(t.Context(), t)
	seen := b.up.requests()

	// For longer than the test: the disk goes on when strace lets go.
	strace := s.attach(t, "-P", newestDay(t, b.trail), "-e", "inject=fsync,fdatasync:delay_enter=100s")
	refused := b.postTogether(t, loadClients)
	b.up.answerHeld(t)
	b.wantRefused(t, <-b.held, http.StatusInternalServerError, "audit_outcome_unrecorded")
	b.wantNotReady(t, s)
	s.wantBounded(t, func() {
		for range 1000 {
			refused = append(refused, b.post(t))
		}
	})
	if strace.hasExited() {
		t.Fatal("the disk went on before all were answered")
	}
	for _, r := range refused {
		b.wantRefused(t, r, http.StatusServiceUnavailable, "audit_unavailable")
	}
	if got := b.up.requests(); got != seen {
		t.Errorf("the upstream saw %d requests whose record was not on disk", got-seen)
	}
	for series, want := range map[string]int{
		`tollbook_refusals_total{reason="audit_unavailable"}`:         len(refused),
		`tollbook_refusals_total{reason="audit_outcome_unrecorded"}`:  1,
		`tollbook_requests_total{route="protected",status="503"}`:     len(refused),
		`tollbook_requests_total{route="protected",status="none"}`:    0,
		`tollbook_upstream_failures_total{reason="upstream_timeout"}`: 0,
	} {
		if got := s.scrape(t).values[series]; got != float64(want) {
			t.Errorf("%s: got %v, want %d", series, got, want)
		}
	}

	strace.signal(t, syscall.SIGINT)
	strace.awaitExit(t)
	b.wantCreated(t)
	s.terminate(t)
	b.wantNotForwarded(t, b.judge(t), refused)
	b.wantSystemRecord(t, "reply_withheld")
}

// postTogether posts n jobs at once and returns the replies.
func (b *bed) postTogether(t *testing.T, n int) []receipt {
	t.Helper()
	replies := make([]receipt, n)
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() { replies[i] = b.post(t) })
	}
	all.Wait()
	return replies
}

// wantNotForwarded holds what the trail says of refused requests, if anything, to
// not_forwarded. It says that of one at least: whose record the disk hung on.
func (b *bed) wantNotForwarded(t *testing.T, closed map[string]trailRecord, refused []receipt) {
	t.Helper()
	recorded := 0
	for _, r := range refused {
		got, found := closed[r.requestID]
		if !found {
			continue
		}
		recorded++
		if got.Phase != "completed" || got.Outcome != "not_forwarded" {
			t.Errorf("request %s, refused: recorded as %s %s, want completed not_forwarded",
				r.requestID, got.Phase, got.Outcome)
		}
	}
	if recorded == 0 {
		t.Error("no refused request is in the trail")
	}
}

// wantBounded holds the program to the memory and the threads that it had before
// use, and some.
func (s *sidecar) wantBounded(t *testing.T, use func()) {
	t.Helper()
	const moreKiB, moreThreads = 64 << 10, 32
	memory, threads := s.procStatus(t, "VmRSS"), s.procStatus(t, "Threads")
	use()
	if got := s.procStatus(t, "VmRSS"); got > memory+moreKiB {
		t.Errorf("memory: got %d KiB, %d before", got, memory)
	}
	if got := s.procStatus(t, "Threads"); got > threads+moreThreads {
		t.Errorf("threads: got %d, %d before", got, threads)
	}
}

// procStatus returns a number that Linux tells of the running program.
func (p *process) procStatus(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatalf("reading the program's state: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		value, found := strings.CutPrefix(line, name+":")
		if !found {
			continue
		}
		n, err := strconv.Atoi(strings.Fields(value)[0])
		if err != nil {
			t.Fatalf("%s of the program: %v", name, err)
		}
		return n
	}
	t.Fatalf("the system does not tell the program's %s", name)
	return 0
}
