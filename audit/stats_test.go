package audit_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"tollbook/audit"
)

// commits collects what OnCommit tells.
type commits struct {
	mu  sync.Mutex
	all []audit.Commit
}

func (c *commits) under(cfg *audit.Config) {
	cfg.OnCommit = func(made audit.Commit) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = append(c.all, made)
	}
}

func (c *commits) take() []audit.Commit {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.all
	c.all = nil
	return all
}

// TestEveryLineIsInACommitThatIsTold adds up what is told of a life with a full
// disk in it, and holds it to the seq of the last line.
func TestEveryLineIsInACommitThatIsTold(t *testing.T) {
	t.Parallel()
	disk, told, dir := new(disk), new(commits), t.TempDir()
	tr := start(t, dir, disk.under, told.under)
	tr.end(tr.begin("r1"))
	tr.tick() // what is told of comes after those who wait
	told.mu.Lock()
	before := len(told.all)
	told.mu.Unlock()
	disk.fail("write", noSpace)
	_, err := tr.Begin(t.Context(), request("r2"))
	unavailable(t, err)
	tr.tick()
	told.mu.Lock()
	after := len(told.all)
	told.mu.Unlock()
	if after != before {
		t.Errorf("got %d commits told while there was no room, want none", after-before)
	}
	disk.heal()
	tr.tick()
	tr.end(tr.begin("r3"))
	tr.stop()
	sum := 0
	for _, c := range told.take() {
		sum += c.Records
		if c.Records <= 0 || c.Duration <= 0 {
			t.Errorf("got %+v, want some records and some time", c)
		}
	}
	if want := len(records(t, dir)); sum != want || int64(want) != tr.Head().Seq {
		t.Errorf("got %d records in all commits, want %d and seq %d", sum, want, tr.Head().Seq)
	}
}

func TestRecordsThatQueuedAreOneCommit(t *testing.T) {
	t.Parallel()
	disk, told := new(disk), new(commits)
	tr := start(t, t.TempDir(), disk.under, told.under)
	tr.tick()
	told.take()
	disk.holdAt("write")
	first := tr.submit("r0")
	<-disk.held
	later := []audit.Pending{tr.submit("r1"), tr.submit("r2"), tr.submit("r3")}
	if got := tr.Stats().Queued; got != 3 {
		t.Errorf("got %d records queued behind a write, want 3", got)
	}
	disk.release()
	for _, p := range append(later, first) {
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tr.tick()
	got := told.take()
	if len(got) != 2 || got[0].Records != 1 || got[1].Records != 3 {
		t.Errorf("got commits %+v, want one of 1 record and one of 3", got)
	}
	if s := tr.Stats(); s.Queued != 0 || s.DurableSeq != tr.Head().Seq {
		t.Errorf("got %+v, want nothing queued and seq %d", s, tr.Head().Seq)
	}
}

func TestStatsTellWhetherRequestsAreTaken(t *testing.T) {
	t.Parallel()
	room := new(room)
	room.free.Store(100 << 20)
	tr := start(t, filepath.Join(t.TempDir(), "trail"), room.under, minFree(64<<20))
	if s := tr.Stats(); s.Err != nil || s.FreeBytes != 100<<20 {
		t.Errorf("after a start: got %+v, want %d bytes free and no error", s, 100<<20)
	}
	room.free.Store(1 << 20)
	tr.tick()
	if s := tr.Stats(); !errors.Is(s.Err, audit.ErrUnavailable) || s.FreeBytes != 1<<20 {
		t.Errorf("with little room: got %+v, want ErrUnavailable and %d bytes free", s, 1<<20)
	}
	tr.stop()
	if s := tr.Stats(); !errors.Is(s.Err, audit.ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", s.Err)
	}
}

func TestStatsDoNotWaitForADiskThatHangs(t *testing.T) {
	t.Parallel()
	disk := new(disk)
	tr := start(t, t.TempDir(), disk.under)
	before := tr.Stats().DurableSeq
	disk.holdAt("write")
	held := tr.submit("r1")
	<-disk.held
	if s := tr.Stats(); s.DurableSeq != before || s.Err != nil {
		t.Errorf("got %+v, want seq %d as before the write", s, before)
	}
	disk.release()
	if err := held.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := tr.Stats().DurableSeq; got != before+1 {
		t.Errorf("got seq %d once the write was good, want %d", got, before+1)
	}
}
