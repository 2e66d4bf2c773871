package audit_test

import (
	"syscall"
	"testing"
	"time"

	"tollbook/audit"
)

// A day that begins while the checkpoints are read is no damage.
func TestALogThatBeginsDaysIsVerifiedMeanwhile(t *testing.T) {
	t.Parallel()
	tr := start(t, t.TempDir(), inOS)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			tr.clock.Add(24 * time.Hour)
			if x, err := tr.Begin(t.Context(), request("r")); err != nil {
				t.Errorf("Begin: %v", err)
			} else if err := x.End(audit.Result{Outcome: audit.OK}); err != nil {
				t.Errorf("End: %v", err)
			}
		}
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		if _, err := audit.Verify(t.Context(), tr.Dir, audit.VerifyConfig{}); err != nil {
			t.Fatalf("Verify: %v", err)
		}
	}
}

// No descriptor for the next file is as good as no room: it passes.
func TestAProcessWithoutDescriptorsGoesOnOnceItHasOne(t *testing.T) {
	// Not parallel: the limit is the process's.
	tr := start(t, t.TempDir(), inOS)
	open := tr.begin("open")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := syscall.Rlimit{Cur: 0, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Skipf("no limit can be set: %v", err)
	}
	tr.ticks <- time.Time{}
	select {
	case tr.ticks <- time.Time{}:
	case <-tr.Failed():
	}
	err := tr.Err()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	refused(t, err, syscall.EMFILE.Error())
	select {
	case <-tr.Failed():
		t.Fatal("the log has failed for good")
	default:
	}
	tr.tick()
	if err := tr.Err(); err != nil {
		t.Fatalf("got %v with descriptors, want none", err)
	}
	tr.end(open)
	tr.stop()
	verify(t, tr.Dir)
}
