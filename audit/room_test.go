package audit_test

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"tollbook/audit"
)

// A room is the free space of a file system, in a test's hand.
type room struct {
	free   atomic.Int64
	broken atomic.Pointer[error]
}

func (r *room) under(cfg *audit.Config) {
	*cfg = audit.WithFreeBytes(*cfg, func() (int64, error) {
		if err := r.broken.Load(); err != nil {
			return 0, *err
		}
		return r.free.Load(), nil
	})
}

func minFree(n int64) func(*audit.Config) {
	return func(cfg *audit.Config) { cfg.MinFree = n }
}

func TestTooLittleRoomRefusesNewRequestsAndClosesTheOldOnes(t *testing.T) {
	t.Parallel()
	room := new(room)
	room.free.Store(100 << 20)
	var states []error
	tr := start(t, t.TempDir(), room.under, minFree(64<<20), func(cfg *audit.Config) {
		cfg.OnState = func(err error) { states = append(states, err) }
	})
	open := tr.begin("open")
	room.free.Store(63 << 20)
	for range 3 { // once is told once
		tr.tick()
	}
	_, err := tr.Begin(t.Context(), request("r1"))
	unavailable(t, err)
	refused(t, err, "63 MiB", "64 MiB", tr.Dir)
	refused(t, tr.Err(), "63 MiB")
	for range 3 {
		tr.Refuse(refusal("", "audit_unavailable", "192.0.2.1"))
	}
	tr.end(open)
	if err := tr.Record(t.Context(), "keys_changed", nil); err != nil {
		t.Errorf("Record: %v", err)
	}
	room.free.Store(64 << 20)
	tr.tick()
	if err := tr.Err(); err != nil {
		t.Errorf("got %v with enough room, want none", err)
	}
	tr.end(tr.begin("r2"))
	tr.stop()
	if report := verify(t, tr.Dir); len(report.Open) != 0 {
		t.Errorf("got %v open, want none", report.Open)
	}
	own, sums := counted(t, tr.Dir)
	if own["audit_unavailable"] != 0 || sums["audit_unavailable"] != 3 {
		t.Errorf("got %v with a record of their own and %v counted, want 3 counted", own, sums)
	}
	if len(states) != 2 || states[0] == nil || states[1] != nil {
		t.Errorf("OnState got %v, want a cause and nil", states)
	}
	if n := len(where(records(t, tr.Dir), reason("fault"))); n != 0 {
		t.Errorf("got %d fault records, want none", n)
	}
}

func TestAStartWithTooLittleRoomRefusesRequests(t *testing.T) {
	t.Parallel()
	room := new(room)
	tr := start(t, t.TempDir(), room.under, minFree(1))
	_, err := tr.Begin(t.Context(), request("r1"))
	unavailable(t, err)
	room.free.Store(1)
	tr.tick()
	tr.end(tr.begin("r1"))
	tr.stop()
	verify(t, tr.Dir)
}

func TestRoomThatCannotBeAskedForIsTooLittle(t *testing.T) {
	t.Parallel()
	room, cause := new(room), errors.New("no statfs")
	room.free.Store(1 << 40)
	tr := start(t, t.TempDir(), room.under, minFree(1))
	room.broken.Store(&cause)
	tr.tick()
	if _, err := tr.Begin(t.Context(), request("r1")); !errors.Is(err, cause) || !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable with the cause", err)
	}
	room.broken.Store(nil)
	tr.tick()
	tr.end(tr.begin("r1"))
}

func TestRoomThatCannotBeToldIsNoMatterUnlessSomeIsWanted(t *testing.T) {
	t.Parallel()
	room, cause := new(room), errors.New("no statfs")
	room.broken.Store(&cause)
	tr := start(t, t.TempDir(), room.under)
	tr.tick()
	tr.end(tr.begin("r1"))
	if got := tr.Stats().FreeBytes; got != -1 {
		t.Errorf("got %d bytes free, want -1 for unknown", got)
	}
}

// MaxWait is a minute here: a request that waited for it would be seen.
func TestRequestsThatWaitBehindAWriteWithoutRoomAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	disk, dir := new(disk), t.TempDir()
	tr := start(t, dir, disk.under)
	x := tr.begin("open")
	disk.fail("write", noSpace)
	disk.holdAt("write")
	taken := tr.submit("taken")
	<-disk.held
	queued := tr.submit("queued")
	ended := make(chan error, 1)
	go func() { ended <- x.End(audit.Result{Outcome: audit.OK, HTTPStatus: 200}) }()
	for tr.Queued() < 2 {
		runtime.Gosched()
	}
	disk.release()
	unavailable(t, taken.Wait(t.Context()))
	unavailable(t, queued.Wait(t.Context()))
	disk.heal()
	tr.tick()
	if err := <-ended; err != nil {
		t.Errorf("an outcome that waited: got %v, want it written once there was room", err)
	}
	tr.stop()
	verify(t, dir)
	if n := len(where(records(t, dir), func(r *audit.Record) bool { return r.RequestID == "queued" })); n != 0 {
		t.Errorf("got %d records of the request that was refused, want none", n)
	}
}
