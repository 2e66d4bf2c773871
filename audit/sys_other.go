//go:build !linux

package audit

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes the file durable (on macOS os.File.Sync asks the drive too).
func syncData(f *os.File) error { return f.Sync() }

// preallocate does nothing here: it is a matter of speed only.
func preallocate(*os.File, int64, int64) {}

// freeBytes returns how much this process may still write in the folder's file
// system.
func (d *folder) freeBytes() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.dir.Fd()), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:gosec // less than any file system has
}
