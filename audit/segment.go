package audit

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// errNoRoom marks a write that failed and was undone: the log is as before, and
// the next write may succeed.
var errNoRoom = errors.New("no room")

// allocateStep is how many bytes are preallocated at a time.
const allocateStep = 1 << 20

// A file is what a segment needs of an [os.File]: the place where tests put
// faults in.
type file interface {
	io.Writer
	Truncate(size int64) error
	Sync() error
	Close() error
}

// A dataFile is an [os.File] that syncs its data.
type dataFile struct{ *os.File }

func (f dataFile) Sync() error { return syncData(f.File) }

// A segment is the day file that is being written.
type segment struct {
	dir       *folder
	name      string
	file      file
	raw       *os.File // for fstat; file writes to it
	id        fileID
	size      int64 // offset after the last good line
	allocated int64
	dirty     int64 // bytes written since the last sync
	failed    error // of the first sync that failed: a second would succeed and lie
}

// A fileID tells one file of the machine from every other.
type fileID struct{ dev, ino uint64 }

// openSegment opens the day file for appending; made says that it must not be
// there yet.
func openSegment(dir *folder, name string, made bool) (*segment, error) {
	flags := unix.O_WRONLY | unix.O_APPEND
	if made {
		flags |= unix.O_CREAT | unix.O_EXCL
	}
	raw, err := dir.open(name, flags)
	if err != nil {
		return nil, err
	}
	s := &segment{dir: dir, name: name, raw: raw, file: dir.wrapped(name, dataFile{raw})}
	var st unix.Stat_t
	if err := unix.Fstat(int(raw.Fd()), &st); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), raw.Close())
	}
	s.id, s.size = idOf(&st), st.Size
	s.allocated = s.size
	return s, nil
}

// idOf converts: the fields' types differ between systems.
func idOf(st *unix.Stat_t) fileID {
	return fileID{uint64(st.Dev), st.Ino} //nolint:unconvert // int32 on macOS
}

// write appends lines and, if sync is set, makes them durable. After an error
// that is errNoRoom the file is as before; after any other its state is unknown
// and it must not be written again.
func (s *segment) write(lines []byte, sync bool) error {
	if s.failed != nil {
		return s.failed
	}
	if need := s.size + int64(len(lines)); need > s.allocated {
		s.allocated = need + allocateStep
		preallocate(s.raw, s.size, s.allocated-s.size)
	}
	if n, err := s.file.Write(lines); err != nil || n < len(lines) {
		return s.undo(err)
	}
	s.dirty += int64(len(lines))
	if sync || s.dirty > maxBatch { // so much can be torn, and no more
		if err := s.sync(); err != nil {
			return err
		}
	}
	s.size += int64(len(lines))
	return s.check()
}

// undo cuts back what a failed write left, if it failed for want of room.
func (s *segment) undo(err error) error {
	s.allocated = s.size
	return undoWrite(s.file, s.name, s.size, err)
}

// undoWrite cuts a file back to size if a write to it failed with err for want
// of room. A short write has err nil.
func undoWrite(f file, name string, size int64, err error) error {
	if err == nil {
		err = io.ErrShortWrite
	}
	if !noRoom(err) {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if cut := f.Truncate(size); cut != nil {
		return fmt.Errorf("cutting %s back after %w: %w", name, err, cut)
	}
	return fmt.Errorf("writing %s: %w: %w", name, errNoRoom, err)
}

// noRoom reports whether err, of a write or of making a file, is want of room.
func noRoom(err error) bool {
	for _, want := range []error{io.ErrShortWrite, unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// unlessNoRoom marks an error of making a file as errNoRoom if it is one, or if
// there was no descriptor for it: all is as before, and another try may succeed.
func unlessNoRoom(doing string, err error) error {
	if noRoom(err) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return fmt.Errorf("%s: %w: %w", doing, errNoRoom, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// sync makes what was written durable. Once it has failed it returns that error
// and does not ask the disk again.
func (s *segment) sync() error {
	if s.failed != nil || s.dirty == 0 {
		return s.failed
	}
	if err := s.file.Sync(); err != nil {
		s.failed = fmt.Errorf("fsync of %s: %w", s.name, err)
		return s.failed
	}
	s.dirty = 0
	return nil
}

// check finds out whether the folder is still the one of its path and the file
// the one of its name, whole and only ours: a file removed, replaced, cut or
// appended to keeps taking writes that nobody will read.
func (s *segment) check() error {
	if err := s.dir.check(); err != nil {
		return err
	}
	var open, named unix.Stat_t
	if err := unix.Fstat(int(s.raw.Fd()), &open); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	err := unix.Fstatat(int(s.dir.dir.Fd()), s.name, &named, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("%s was removed or renamed: %w", s.name, err)
	}
	switch {
	case open.Nlink != 1:
		return fmt.Errorf("%s was removed or linked: it has %d names", s.name, open.Nlink)
	case idOf(&named) != s.id:
		return fmt.Errorf("%s was replaced by another file", s.name)
	case open.Size != s.size:
		return fmt.Errorf("%s was changed by another: %d bytes, want %d", s.name, open.Size, s.size)
	}
	return nil
}

// close gives back what was preallocated, makes the rest durable and closes.
func (s *segment) close() error {
	var cut error
	if s.allocated > s.size {
		cut = s.file.Truncate(s.size)
	}
	return errors.Join(cut, s.sync(), s.file.Close())
}

// abandon closes a file whose state is unknown and leaves it as it is.
func (s *segment) abandon() error { return s.file.Close() }
