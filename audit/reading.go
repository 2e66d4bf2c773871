package audit

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openForReading opens the folder without its lock.
func openForReading(path string) (*folder, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &folder{path: path, dir: os.NewFile(uintptr(fd), path)}, nil
}

// live reports whether a writer has the folder open. It asks without taking the
// lock for longer than the question.
func (d *folder) live() bool {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC
	probe, err := unix.Openat(int(d.dir.Fd()), ".", flags, 0)
	if err != nil {
		return false
	}
	defer unix.Close(probe)
	return errors.Is(unix.Flock(probe, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
