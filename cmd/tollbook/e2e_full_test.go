package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// fullSettings are those of a program whose disk fills: it must not refuse a
// small one beforehand.
var fullSettings = map[string]string{"TOLLBOOK_AUDIT_MIN_FREE": "0"}

// TestFullDiskRefusesRequests lets strace say that there is no room for what is
// written to the day file, while the disk of the machine is not full.
func TestFullDiskRefusesRequests(t *testing.T) {
	t.Parallel()
	requireStrace(t)
	binary := buildTollbook(t)
	for _, errno := range []string{"ENOSPC", "EDQUOT"} {
		t.Run(errno, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, binary)
			maps.Copy(b.settings, fullSettings)
			s := b.ready(t)
			b.wantCreated(t)
			strace := s.attach(t, "-P", newestDay(t, b.trail), "-e", "inject=write:error="+errno)
			b.wantUnavailable(t)
			b.wantUnavailable(t)
			b.wantNotReady(t, s)
			strace.signal(t, syscall.SIGINT) // it lets go of the program
			strace.awaitExit(t)
			b.wantCreated(t)
			s.terminate(t)
			b.judge(t)
			b.wantSystemRecord(t, "fault")
		})
	}
}

// TestFilledFolderResumesWhenThereIsRoom fills the file system of the trail, and
// then makes room.
func TestFilledFolderResumesWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	folder := mountSmall(t)
	b := newBedOn(t, buildTollbook(t), filepath.Join(folder, "trail"))
	maps.Copy(b.settings, fullSettings)
	s := b.ready(t)
	b.wantCreated(t)
	for _, makeRoom := range []func(t *testing.T, folder string){removeBallast, growSmall} {
		b.fill(t, folder)
		b.wantUnavailable(t)
		makeRoom(t, folder)
		b.wantCreated(t)
	}
	s.terminate(t)
	b.judge(t)
	b.wantSystemRecord(t, "fault")
}

// TestLittleRoomRefusesBeforeTheDiskIsFull keeps some room free for what was
// begun: new requests are refused, and taken again when there is more.
func TestLittleRoomRefusesBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	folder := mountSmall(t)
	b := newBedOn(t, buildTollbook(t), filepath.Join(folder, "trail"))
	b.settings["TOLLBOOK_AUDIT_MIN_FREE"] = "128KiB"
	s := b.ready(t)
	b.wantCreated(t)
	if err := os.WriteFile(filepath.Join(folder, "ballast"), make([]byte, 128<<10), 0o600); err != nil {
		t.Fatalf("taking room: %v", err)
	}
	eventually(t, "the program sees that there is little room", func() error {
		if statusOK(t.Context(), newClient(t), s.admin+"/readyz") == nil {
			return errors.New("it is ready")
		}
		return nil
	})
	b.wantNotReady(t, s)
	b.wantUnavailable(t)
	removeBallast(t, folder)
	s.waitUntilOK(t, s.admin+"/readyz")
	b.wantCreated(t)
	s.terminate(t)
	b.judge(t)
}

// fill takes all room but some, and posts jobs until that is used up too.
func (b *bed) fill(t *testing.T, folder string) {
	t.Helper()
	ballast, err := os.OpenFile(filepath.Join(folder, "ballast"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatalf("making the ballast: %v", err)
	}
	defer ballast.Close()
	for page := make([]byte, 4096); err == nil; {
		_, err = ballast.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling %s: %v", folder, err)
	}
	const enough = 5000 // records that would fill what is preallocated many times
	for range enough {
		got := b.post(t)
		if got.status != http.StatusCreated {
			b.wantEither(t, got)
			return
		}
	}
	t.Fatalf("%d requests were answered on a full disk", enough)
}

// wantEither holds the reply at the moment at which the disk is full to one of
// two: before or after the request was forwarded.
func (b *bed) wantEither(t *testing.T, got receipt) {
	t.Helper()
	if got.status == http.StatusInternalServerError {
		b.wantRefused(t, got, http.StatusInternalServerError, "audit_outcome_unrecorded")
		return
	}
	b.wantRefused(t, got, http.StatusServiceUnavailable, "audit_unavailable")
}

// wantUnavailable posts a job, which must be refused and not be forwarded.
func (b *bed) wantUnavailable(t *testing.T) {
	t.Helper()
	seen := b.up.requests()
	b.wantRefused(t, b.post(t), http.StatusServiceUnavailable, "audit_unavailable")
	if got := b.up.requests(); got != seen {
		t.Errorf("the upstream saw %d requests while the trail could not be written", got-seen)
	}
}

// wantSystemRecord holds the trail to a system record of this kind.
func (b *bed) wantSystemRecord(t *testing.T, kind string) {
	t.Helper()
	for _, r := range readTrail(t, b.trail) {
		if r.Phase == "system" && r.Reason == kind {
			return
		}
	}
	t.Errorf("the trail has no system record of %s", kind)
}

// mountSmall mounts a file system that is soon full and returns where.
func mountSmall(t *testing.T) string {
	t.Helper()
	return mountMemory(t, "256k")
}

// mountMemory mounts a file system of its own, in memory, and returns where.
func mountMemory(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := mount(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", folder); err != nil {
		lacking(t, fmt.Sprintf("needs root and the permission to mount: %v %s", err, out))
	}
	t.Cleanup(func() { // before the folder is removed, after the program has ended
		if out, err := mount(context.Background(), "umount", folder); err != nil {
			t.Errorf("unmounting %s: %v %s", folder, err, out)
		}
	})
	return folder
}

func mount(ctx context.Context, command ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	//nolint:gosec // G204: the command is the tests' own
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	return bytes.TrimSpace(out), err
}

func removeBallast(t *testing.T, folder string) {
	t.Helper()
	if err := os.Remove(filepath.Join(folder, "ballast")); err != nil {
		t.Fatalf("making room: %v", err)
	}
}

func growSmall(t *testing.T, folder string) {
	t.Helper()
	if out, err := mount(t.Context(), "mount", "-o", "remount,size=16m", folder); err != nil {
		t.Fatalf("making room: %v %s", err, out)
	}
}
