package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

func TestAuditTailPrintsTheLastRecords(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	all := slices.Collect(strings.Lines(onDisk(t, dir)))
	for n, want := range map[string][]string{
		"0": nil, "1": all[len(all)-1:], "7": all[len(all)-7:], "1000": all,
	} {
		stdout, _, code := call(t, nil, "audit", "tail", "--no-follow", "--json", "-n", n, dir)
		if code != exitOK || stdout != strings.Join(want, "") {
			t.Errorf("-n %s: got exit code %d and\n%s", n, code, stdout)
		}
	}
	stdout, _, code := call(t, nil, "audit", "tail", "--no-follow", dir)
	if code != exitOK || strings.Count(stdout, "\n") != 10 || !strings.HasSuffix(stdout, " stop\n") {
		t.Errorf("without -n: got exit code %d and\n%s\nwant the last ten", code, stdout)
	}
}

func TestAuditTailWrongUsageIsExitCode2(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"-n -1": {"--records=-1", twoDays(t)}, "api-0, api-1": {twoLogs(t)},
	} {
		_, stderr, code := call(t, nil, append([]string{"audit", "tail"}, args...)...)
		if code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%v: got exit code %d and %q, want 2 and %q", args, code, stderr, want)
		}
	}
}

// A lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// A tailing is `audit tail` under test, with its ticks in the test's hand.
type tailing struct {
	t     *testing.T
	out   lockedBuffer
	ticks chan time.Time
	stop  context.CancelFunc
	ended chan error
}

func startTail(t *testing.T, dir string) *tailing {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	tl := &tailing{t: t, ticks: make(chan time.Time), stop: stop, ended: make(chan error, 1)}
	command := tailCommand{trailFolder: trailFolder{Dir: dir}, Records: 1, JSON: true}
	go func() { tl.ended <- command.tail(&app{ctx: ctx, stdout: &tl.out}, tl.ticks) }()
	t.Cleanup(stop)
	tl.tick()
	return tl
}

// tick returns when the tail has looked once more: the second tick is taken after
// the first has been dealt with.
func (tl *tailing) tick() {
	tl.t.Helper()
	for range 2 {
		select {
		case tl.ticks <- time.Time{}:
		case err := <-tl.ended:
			tl.t.Fatalf("the tail ended: %v", err)
		}
	}
}

// end ticks until the tail ends.
func (tl *tailing) end() error {
	for {
		select {
		case tl.ticks <- time.Time{}:
		case err := <-tl.ended:
			return err
		}
	}
}

func TestAuditTailFollowsOverMidnightUntilItIsStopped(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "audit")
	tr := openTrail(t, dir)
	before := strings.Count(onDisk(t, dir), "\n")
	tl := startTail(t, dir)
	for range 3 {
		tr.request("user_1", "", "/")
		tl.tick()
		tr.request("user_1", "", "/")
		tr.add(24 * time.Hour)
	}
	tr.close()
	tl.tick()
	lines := slices.Collect(strings.Lines(onDisk(t, dir)))
	if want := strings.Join(lines[before-1:], ""); tl.out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", tl.out.String(), want)
	}
	tl.stop()
	if err := <-tl.ended; exitCode(err) != exitOK {
		t.Errorf("got %v, want exit code 0 when it is stopped", err)
	}
}

func TestAuditTailWaitsForTheEndOfALineAndRefusesACutFile(t *testing.T) {
	t.Parallel()
	from, dir := twoDays(t), t.TempDir()
	path := filepath.Join(dir, "audit_20260301.jsonl")
	data, err := os.ReadFile(filepath.Join(from, filepath.Base(path)))
	if err != nil {
		t.Fatal(err)
	}
	half := len(data) - 10
	if err := os.WriteFile(path, data[:half], 0o600); err != nil {
		t.Fatal(err)
	}
	whole := string(data[:strings.LastIndexByte(string(data[:len(data)-1]), '\n')+1])
	shown := whole[strings.LastIndexByte(whole[:len(whole)-1], '\n')+1:]
	tl := startTail(t, dir)
	if tl.out.String() != shown {
		t.Errorf("half a line: got %q, want %q", tl.out.String(), shown)
	}
	appendFile(t, path, data[half:])
	tl.tick()
	if want := shown + string(data[len(whole):]); tl.out.String() != want {
		t.Errorf("finished: got %q, want %q", tl.out.String(), want)
	}
	if err := os.Truncate(path, int64(half)); err != nil {
		t.Fatal(err)
	}
	if err := tl.end(); exitCode(err) != exitNo || !strings.Contains(err.Error(), "became shorter") {
		t.Errorf("cut: got %v, want exit code 1 and the cause", err)
	}
}

func appendFile(t *testing.T, path string, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAuditTailThatIsStoppedWhileItReadsIsExitCode0(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "audit")
	log, err := audit.Open(audit.Config{Dir: dir, Durability: audit.OS})
	if err != nil {
		t.Fatal(err)
	}
	for range 1100 {
		if err := log.Record(t.Context(), "fault", nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	err = run(ctx, []string{"audit", "tail", "-n", "2000", dir}, nil, nil, &out, &out)
	if exitCode(err) != exitOK || strings.Count(out.String(), "\n") >= 1100 {
		t.Errorf("got %v after %d lines, want exit code 0 before the end", err, strings.Count(out.String(), "\n"))
	}
	err = run(ctx, []string{"audit", "query", "--json", dir}, nil, nil, &out, &out)
	if exitCode(err) != exitNo || !strings.Contains(err.Error(), "stopped before the end") {
		t.Errorf("query: got %v, want that it is not the whole answer", err)
	}
}
