package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A folder is the log's directory, held open and locked: every file of it is
// reached through this descriptor, so that a folder put in its place later is
// not written to.
type folder struct {
	path  string
	dir   *os.File
	id    fileID                         // of dir; zero if it is open for reading only
	fsync func() error                   // of dir
	wrap  func(name string, f file) file // what tests put in; nil if nothing
}

// wrapped returns the file as the log uses it.
func (d *folder) wrapped(name string, f file) file {
	if d.wrap == nil {
		return f
	}
	return d.wrap(name, f)
}

// openFolder makes the folder if it is missing, refuses one that others could
// change, and locks it for this process.
func openFolder(path string) (*folder, error) {
	if path == "" {
		return nil, errors.New("folder: no path given")
	}
	path = filepath.Clean(path)
	if err := makeFolder(path); err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("folder %q: %w (it must be a directory, not a link to one)", path, err)
	}
	d := &folder{path: path, dir: os.NewFile(uintptr(fd), path)}
	d.fsync = d.dir.Sync
	if err := errors.Join(d.checkOwner(), d.lock()); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// makeFolder makes the folder and the parents that are missing, each durable in
// its own parent.
func makeFolder(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making folder: %w (user id %d must be allowed to)", err, os.Geteuid())
	}
	f, err := os.Open(parent)
	if err != nil {
		return fmt.Errorf("making folder %q: %w", path, err)
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkOwner refuses a folder that others could change, and learns its id.
func (d *folder) checkOwner() error {
	var st unix.Stat_t
	if err := unix.Fstat(int(d.dir.Fd()), &st); err != nil {
		return fmt.Errorf("folder %q: %w", d.path, err)
	}
	d.id = idOf(&st)
	euid := uint32(os.Geteuid()) //nolint:gosec // a user id is not negative
	if st.Uid != euid && st.Uid != 0 {
		return fmt.Errorf("folder %q belongs to user id %d and this process runs as %d: chown %d it",
			d.path, st.Uid, euid, euid)
	}
	if st.Mode&0o002 != 0 {
		return fmt.Errorf("folder %q is writable by everyone: chmod o-w it", d.path)
	}
	if err := unix.Access(d.path, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("folder %q is not writable: %w: chown %d it, or mount it writable",
			d.path, err, euid)
	}
	return nil
}

// check finds out whether the path still leads to the folder: one that was moved
// or mounted over keeps taking writes that nobody will read.
func (d *folder) check() error {
	var named unix.Stat_t
	if err := unix.Lstat(d.path, &named); err != nil {
		return fmt.Errorf("folder %q was removed or renamed: %w", d.path, err)
	}
	if idOf(&named) != d.id {
		return fmt.Errorf("folder %q was moved away and another is in its place", d.path)
	}
	return nil
}

func (d *folder) lock() error {
	var err error
	for range lockTries { // a reader that asks whether there is a writer holds it for an instant
		err = unix.Flock(int(d.dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		time.Sleep(lockPause)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("folder %q is in use by another process: "+
			"one folder is one log with one writer", d.path)
	default:
		return fmt.Errorf("folder %q is on a file system that can't lock a folder (NFS?): %w",
			d.path, err)
	}
}

// How often, and how far apart, the lock is asked for.
const (
	lockTries = 5
	lockPause = 10 * time.Millisecond
)

// close gives the lock up too.
func (d *folder) close() error { return d.dir.Close() }

// sync makes made, renamed and removed names durable.
func (d *folder) sync() error {
	if err := d.fsync(); err != nil {
		return fmt.Errorf("fsync of folder %q: %w", d.path, err)
	}
	return nil
}

// open opens a file of the folder and refuses what is no plain file: a link, a
// pipe; and, to write, one with a second name or that everyone may write.
func (d *folder) open(name string, flags int) (*os.File, error) {
	flags |= unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	fd, err := unix.Openat(int(d.dir.Fd()), name, flags, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(d.path, name), Err: err}
	}
	f := os.NewFile(uintptr(fd), filepath.Join(d.path, name))
	if err := checkFile(f, flags&(unix.O_WRONLY|unix.O_RDWR) != 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func checkFile(f *os.File, write bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return fmt.Errorf("%s is not a plain file", f.Name())
	case !write:
		return nil
	case st.Nlink != 1:
		return fmt.Errorf("%s has %d names, want one: a hard link could change the trail",
			f.Name(), st.Nlink)
	case st.Mode&0o002 != 0:
		return fmt.Errorf("%s is writable by everyone: chmod o-w it", f.Name())
	}
	return nil
}
