package audit_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollbook/audit"
)

var noSpace = fault{err: syscall.ENOSPC, part: 100}

// poisoned fails the test unless the log takes nothing more, for good.
func poisoned(t *testing.T, tr *trail) {
	t.Helper()
	select {
	case <-tr.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("Failed is not closed")
	}
	_, err := tr.Begin(t.Context(), request("later"))
	unavailable(t, err)
	unavailable(t, tr.Err())
	unavailable(t, tr.Record(t.Context(), "keys_changed", nil))
}

func TestAnFsyncThatFailsIsTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		call  string
		after string // what may be asked of the disk after it
	}{{"fsync", "close "}, {"folder", "close "}} {
		disk, dir, clock := new(disk), t.TempDir(), newClock(noon)
		var states []error
		tr := start(t, dir, disk.under, at(clock), func(cfg *audit.Config) {
			cfg.OnState = func(err error) { states = append(states, err) }
		})
		x := tr.begin("open")
		clock.Add(24 * time.Hour) // so that the folder is fsynced too
		disk.fail(c.call, fault{err: syscall.EIO})
		_, err := tr.Begin(t.Context(), request("r1"))
		if unavailable(t, err); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: got %v, want the cause in it", c.call, err)
		}
		disk.heal() // a second fsync would succeed and lie
		disk.note("|")
		poisoned(t, tr)
		unavailable(t, x.End(audit.Result{Outcome: audit.OK}))
		tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
		if err := tr.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: Close: got %v, want the cause", c.call, err)
		}
		if _, got, _ := strings.Cut(disk.calls(), "|"); got != c.after {
			t.Errorf("%s: got %q after the failure, want %q", c.call, got, c.after)
		}
		if len(states) != 1 || !errors.Is(states[0], syscall.EIO) {
			t.Errorf("%s: OnState got %v, want the cause once", c.call, states)
		}
		start(t, dir, at(clock)).stop()
		if report := verify(t, dir); len(report.Open) != 0 {
			t.Errorf("%s: %v are open after the next start", c.call, report.Open)
		}
	}
}

// The failure and the end of the process may come at the same time.
func TestClosingWhileAnFsyncFailsWritesNothingMore(t *testing.T) {
	t.Parallel()
	for range 20 {
		disk := new(disk)
		tr := start(t, t.TempDir(), disk.under)
		disk.hold()
		p := tr.submit("r1")
		<-disk.held
		disk.fail("fsync", fault{err: syscall.EIO})
		second := tr.submit("r2")
		closed := make(chan error)
		go func() { closed <- tr.Close() }()
		for !errors.Is(tr.Err(), audit.ErrClosed) {
			continue // until Close has begun
		}
		disk.note("|")
		disk.release()
		if err := <-closed; !errors.Is(err, syscall.EIO) {
			t.Fatalf("Close: got %v, want the cause", err)
		}
		unavailable(t, p.Wait(t.Context()))
		unavailable(t, second.Wait(t.Context()))
		if _, got, _ := strings.Cut(disk.calls(), "|"); got != "fsync close " {
			t.Fatalf("got %q after the failure, want no write and no second fsync", got)
		}
	}
}

func TestAStartWhoseFsyncFailsIsRefusedWithoutASecondOne(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"fsync", "folder"} {
		disk := new(disk)
		disk.fail(call, fault{err: syscall.EIO})
		_, err := open(t, t.TempDir(), disk.under)
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: got %v, want EIO", call, err)
		}
		if n := strings.Count(" "+disk.calls(), " "+call+" "); n != 1 {
			t.Errorf("got %q, want one %s", disk.calls(), call)
		}
	}
}

func TestInDurabilityOSAnFsyncThatFailsIsTheEndToo(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under, inOS)
	tr.begin("r1")
	disk.fail("fsync", fault{err: syscall.EIO})
	tr.ticks <- time.Time{}
	disk.note("|")
	poisoned(t, tr)
	_ = tr.Close()
	if _, got, _ := strings.Cut(disk.calls(), "|"); strings.Contains(got, "write") {
		t.Errorf("got %q after the failure, want no write", got)
	}
}

func TestAnFsyncThatFailsForASummaryIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under)
	tr.overspend()
	disk.fail("fsync", fault{err: syscall.EIO})
	disk.note("|")
	tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
	select {
	case tr.ticks <- time.Time{}:
	case <-tr.Failed(): // the tick before this one wrote it
	}
	poisoned(t, tr)
	_ = tr.Close()
	if _, got, _ := strings.Cut(disk.calls(), "|"); got != "write fsync close " {
		t.Errorf("got %q, want one write and one fsync", got)
	}
}

// overspend uses this second's budget of refusals up and has all of them
// written, so that the next is only counted.
func (tr *trail) overspend() {
	for range audit.RefusalBudget + 1 {
		tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
	}
	for tr.Queued() > 0 {
		tr.tick()
	}
	tr.tick()
}

func TestADiskThatHangsInATickIsSeen(t *testing.T) {
	t.Parallel()
	for name, durability := range map[string]audit.Durability{
		"the fsync": audit.OS, "a summary": audit.Fsync,
	} {
		disk := new(disk)
		tr := start(t, t.TempDir(), disk.under, maxWait(time.Millisecond),
			func(cfg *audit.Config) { cfg.Durability = durability })
		tr.overspend()
		disk.hold()
		tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
		for held := false; !held; {
			select {
			case tr.ticks <- time.Time{}:
			case <-disk.held: // or the tick before this one wrote it
				held = true
			}
		}
		deadline := time.Now().Add(10 * time.Second)
		for tr.Err() == nil && time.Now().Before(deadline) {
			continue
		}
		if err := tr.Err(); err == nil {
			t.Errorf("%s: got no error while it hangs", name)
		}
		disk.release()
		tr.tick()
		if err := tr.Err(); err != nil {
			t.Errorf("%s: got %v after it went on, want none", name, err)
		}
	}
}

func TestARecordThatWasTakenIsClosedWithTheCauseOfGivingUp(t *testing.T) {
	t.Parallel()
	left := errors.New("the client left")
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(left)
	for _, c := range []struct {
		ctx    context.Context //nolint:containedctx // a row of the table
		wait   time.Duration
		cause  error
		reason string
	}{
		{gone, time.Minute, left, "client_aborted"},
		{t.Context(), 50 * time.Millisecond, audit.ErrUnavailable, "audit_unavailable"},
	} {
		disk, dir := new(disk), t.TempDir()
		tr := start(t, dir, disk.under, maxWait(c.wait))
		disk.hold()
		taken := tr.submit("taken")
		<-disk.held
		queued := tr.submit("queued")
		err := taken.Wait(c.ctx)
		if !errors.Is(err, c.cause) || !errors.Is(err, audit.ErrTaken) {
			t.Errorf("%s: got %v, want the cause and ErrTaken", c.reason, err)
		}
		err = queued.Wait(c.ctx)
		if !errors.Is(err, c.cause) || errors.Is(err, audit.ErrTaken) {
			t.Errorf("%s: got %v of the one in the queue, want the cause alone", c.reason, err)
		}
		disk.release()
		tr.stop()
		verify(t, dir)
		closed := where(records(t, dir), phase(audit.Completed))
		if len(closed) != 1 || closed[0].Outcome != audit.NotForwarded || closed[0].Reason != c.reason {
			t.Errorf("got %+v, want one not_forwarded with the reason %s", closed, c.reason)
		}
	}
}

func TestARecordThatWasTakenInVainIsCounted(t *testing.T) {
	t.Parallel()
	disk, dir := new(disk), t.TempDir()
	tr := start(t, dir, disk.under)
	disk.fail("write", noSpace)
	disk.holdAt("write")
	taken := tr.submit("taken")
	<-disk.held
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := taken.Wait(gone); !errors.Is(err, audit.ErrTaken) {
		t.Errorf("got %v, want ErrTaken", err)
	}
	disk.release()
	tr.tick()
	disk.heal()
	tr.tick()
	tr.stop()
	verify(t, dir)
	if _, sums := counted(t, dir); sums["client_aborted"] != 1 {
		t.Errorf("got %v in the summaries, want one client_aborted", sums)
	}
}

func TestADiskThatIsFullIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{
		"ENOSPC":        noSpace,
		"ENOSPC at 0":   {err: syscall.ENOSPC},
		"EDQUOT":        {err: syscall.EDQUOT, part: 1},
		"EFBIG":         {err: syscall.EFBIG, part: 1},
		"short write":   {err: io.ErrShortWrite, part: 7},
		"silent, short": {part: 7},
	} {
		disk, dir := new(disk), t.TempDir()
		states := make(chan error, 8)
		tr := start(t, dir, disk.under, func(cfg *audit.Config) {
			cfg.OnState = func(err error) { states <- err }
		})
		open, failing := tr.begin("open"), tr.begin("failing")
		good := string(read(t, newest(t, dir)))
		disk.fail("write", f)
		_, err := tr.Begin(t.Context(), request("r1"))
		unavailable(t, err)
		if got := string(read(t, newest(t, dir))); got != good {
			t.Errorf("%s: the file was not cut back", name)
		}
		unavailable(t, failing.End(audit.Result{Outcome: audit.OK, HTTPStatus: 201}))
		tr.tick() // still full
		unavailable(t, tr.Err())
		select {
		case <-tr.Failed():
			t.Errorf("%s: Failed is closed", name)
		default:
		}
		disk.heal()
		tr.tick()
		if err := tr.Err(); err != nil {
			t.Errorf("%s: %v after there was room", name, err)
		}
		tr.end(open)
		tr.end(tr.begin("r2"))
		tr.stop()
		if report := verify(t, dir); len(report.Open) != 0 {
			t.Errorf("%s: got %v open, want none", name, report.Open)
		}
		afterTheFault(t, name, dir)
		if err1, err2 := <-states, <-states; err1 == nil || err2 != nil || len(states) != 0 {
			t.Errorf("%s: OnState got %v, %v and %d more, want the cause and nil", name, err1, err2, len(states))
		}
	}
}

func afterTheFault(t *testing.T, name, dir string) {
	t.Helper()
	all := records(t, dir)
	faults := where(all, reason("fault"))
	if len(faults) != 1 {
		t.Fatalf("%s: got %d fault records, want 1", name, len(faults))
	}
	late := where(all, func(r *audit.Record) bool { return r.RequestID == "failing" && r.HTTPStatus == 201 })
	if len(late) != 1 || late[0].Seq <= faults[0].Seq {
		t.Fatalf("%s: got %v, want the failed outcome once, after the fault", name, late)
	}
	withheld := where(all, reason("reply_withheld"))
	if len(withheld) != 1 || !reflect.DeepEqual(withheld[0].Metadata, seqOf(late[0])) {
		t.Errorf("%s: got %v, want one reply_withheld of seq %d", name, withheld, late[0].Seq)
	}
	if lost := where(all, func(r *audit.Record) bool { return r.RequestID == "r1" }); len(lost) != 0 {
		t.Errorf("%s: got %v, want nothing of the request that was refused", name, lost)
	}
}

func seqOf(r *audit.Record) audit.Object {
	return audit.Object{{Name: "seq", Value: audit.Int(r.Seq)}}
}

func TestAFileThatCannotBeCutBackIsTheEnd(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under)
	disk.mu.Lock()
	disk.failing = map[string]fault{"write": noSpace, "cut": {err: syscall.EIO}}
	disk.mu.Unlock()
	_, err := tr.Begin(t.Context(), request("r1"))
	unavailable(t, err)
	poisoned(t, tr)
}

func TestAWriteErrorOfAnotherKindIsTheEnd(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under)
	disk.fail("write", fault{err: syscall.EIO})
	_, err := tr.Begin(t.Context(), request("r1"))
	unavailable(t, err)
	disk.heal()
	poisoned(t, tr)
}

func TestNobodyWaitsLongerThanMaxWaitForAHungDisk(t *testing.T) {
	t.Parallel()
	disk, dir := new(disk), t.TempDir()
	tr := start(t, dir, disk.under, maxWait(50*time.Millisecond))
	open, abandoned := tr.begin("open"), tr.begin("abandoned")
	disk.hold()
	taken := tr.submit("taken")
	<-disk.held
	withdrawn := tr.submit("withdrawn")
	closing := make(chan error)
	go func() { closing <- abandoned.End(audit.Result{Outcome: audit.OK}) }()
	unavailable(t, taken.Wait(t.Context()))
	unavailable(t, withdrawn.Wait(t.Context()))
	unavailable(t, <-closing)
	_, err := tr.Begin(t.Context(), request("overdue")) // at once
	unavailable(t, err)
	unavailable(t, open.End(audit.Result{Outcome: audit.OK}))
	disk.release()
	tr.tick()
	tr.tick()
	tr.stop()
	if report := verify(t, dir); len(report.Open) != 0 {
		t.Errorf("got %v open, want none", report.Open)
	}
	all := records(t, dir)
	byID := func(id string) []*audit.Record {
		return where(all, func(r *audit.Record) bool { return r.RequestID == id })
	}
	if got := byID("taken"); len(got) != 2 || got[1].Outcome != audit.NotForwarded {
		t.Errorf("got %v of the taken request, want received and not_forwarded", got)
	}
	if n := len(byID("withdrawn")) + len(byID("overdue")); n != 0 {
		t.Errorf("got %d records of requests that were withdrawn, want none", n)
	}
	withheld := where(all, reason("reply_withheld"))
	if len(withheld) != 2 {
		t.Fatalf("got %d reply_withheld, want one each for open and abandoned", len(withheld))
	}
	for _, r := range append(byID("open")[1:], byID("abandoned")[1:]...) {
		told := where(withheld, func(w *audit.Record) bool { return reflect.DeepEqual(w.Metadata, seqOf(r)) })
		if r.Outcome != audit.OK || len(told) != 1 {
			t.Errorf("%s: got %s and %d reply_withheld, want ok and one", r.RequestID, r.Outcome, len(told))
		}
	}
}

func TestTheQueueIsBoundedWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under)
	disk.hold()
	tr.submit("r0")
	<-disk.held
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var full error
	for range 2 * audit.MaxQueue {
		p, err := tr.Submit(request("r"))
		if err != nil {
			full = err
			continue
		}
		_ = p.Wait(gone) // a client that left does not free its place
	}
	unavailable(t, full)
	if n := tr.Queued(); n > audit.MaxQueue {
		t.Errorf("got %d records in the queue, want at most %d", n, audit.MaxQueue)
	}
	disk.release()
}

func TestCloseDoesNotHangOnAHungDisk(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under, maxWait(time.Millisecond))
	disk.hold()
	tr.submit("r1")
	<-disk.held
	unavailable(t, tr.Close())
	disk.release()
}

func TestAFileThatAnotherTouchedIsTheEnd(t *testing.T) {
	t.Parallel()
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for name, touch := range map[string]func(path string){
		"removed":  func(path string) { must(os.Remove(path)) },
		"renamed":  func(path string) { must(os.Rename(path, path+".old")) },
		"linked":   func(path string) { must(os.Link(path, path+".link")) },
		"cut":      func(path string) { must(os.Truncate(path, 10)) },
		"emptied":  func(path string) { must(os.Truncate(path, 0)) },
		"appended": func(path string) { must(appendTo(path, "x")) },
		"replaced": func(path string) {
			data, err := os.ReadFile(path)
			must(err)
			must(os.Rename(path, path+".old"))
			must(os.WriteFile(path, data, 0o600))
		},
		"symlink": func(path string) {
			must(os.Rename(path, path+".old"))
			must(os.Symlink(filepath.Base(path)+".old", path))
		},
	} {
		dir := t.TempDir()
		tr := start(t, dir)
		tr.begin("r1")
		touch(newest(t, dir))
		if _, err := tr.Begin(t.Context(), request("r2")); !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
		poisoned(t, tr)
	}
}

func TestAFolderThatWasMovedIsTheEnd(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(dir string) error{
		"moved":    func(string) error { return nil },
		"replaced": func(dir string) error { return os.CopyFS(dir, os.DirFS(dir+".old")) },
		"linked":   func(dir string) error { return os.Symlink(dir+".old", dir) },
	} {
		dir := filepath.Join(t.TempDir(), "trail")
		tr := start(t, dir)
		if err := errors.Join(os.Rename(dir, dir+".old"), replace(dir)); err != nil {
			t.Fatal(err)
		}
		_, err := tr.Begin(t.Context(), request("r1"))
		if err == nil || !strings.Contains(err.Error(), "folder") {
			t.Errorf("%s: got %v, want an error that names the folder", name, err)
		}
		poisoned(t, tr)
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func TestAFolderThatIsNotOursAloneIsRefused(t *testing.T) {
	t.Parallel()
	day := func(dir string) string { return filepath.Join(dir, "audit_20260301.jsonl") }
	for name, c := range map[string]struct {
		prepare func(dir string) error
		word    string
	}{
		"link to a folder": {func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.Symlink(t.TempDir(), dir))
		}, "not a link"},
		"file": {func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
		}, "directory"},
		"link to nothing": {func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Symlink("no", dir)) }, "not a link"},
		"writable by all": {func(dir string) error { return os.Chmod(dir, 0o777) }, "chmod o-w"},
		"pipe":            {func(dir string) error { return syscall.Mkfifo(day(dir), 0o600) }, "not a plain file"},
		"day is a folder": {func(dir string) error { return os.Mkdir(day(dir), 0o700) }, "not a plain file"},
		"day is a link": {func(dir string) error {
			plain := filepath.Join(filepath.Dir(dir), "real")
			return errors.Join(os.WriteFile(plain, nil, 0o600), os.Symlink(plain, day(dir)))
		}, syscall.ELOOP.Error()},
		"day writable by all": {func(dir string) error {
			return errors.Join(os.WriteFile(day(dir), nil, 0o600), os.Chmod(day(dir), 0o666))
		}, "chmod o-w"},
		"day has two names": {func(dir string) error {
			return errors.Join(os.WriteFile(day(dir), nil, 0o600), os.Link(day(dir), day(dir)+".link"))
		}, "want one"},
	} {
		dir := filepath.Join(t.TempDir(), "trail")
		if err := errors.Join(os.Mkdir(dir, 0o700), unbegun(t, dir), c.prepare(dir)); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, dir)
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.word)
		}
	}
}

// unbegun leaves a folder as a first start does that died before its first line,
// without the empty day file.
func unbegun(t *testing.T, dir string) error {
	t.Helper()
	disk := new(disk)
	disk.fail("write", fault{err: syscall.EIO})
	_, err := open(t, dir, disk.under)
	refused(t, err, syscall.EIO.Error())
	return os.Remove(newest(t, dir))
}

func TestAFolderThatCannotBeWrittenIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "trail")
	if err := os.Mkdir(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	var in, below error
	asAnyUser(t, func() {
		_, in = audit.Open(audit.Config{Dir: dir})
		_, below = audit.Open(audit.Config{Dir: filepath.Join(dir, "below")})
	})
	refused(t, in, "not writable")
	refused(t, below, "making folder")
}
