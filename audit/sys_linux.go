package audit

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes the file's data and length durable (fdatasync(2)).
func syncData(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}

// preallocate asks for room after the file's end without changing its length. It
// is a matter of speed only: its failure means nothing.
func preallocate(f *os.File, offset, length int64) {
	_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, offset, length)
}

// freeBytes returns how much this process may still write in the folder's file
// system.
func (d *folder) freeBytes() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.dir.Fd()), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Frsize, nil //nolint:gosec // less than any file system has
}
