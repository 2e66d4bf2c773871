package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"
)

// A sealer writes the checkpoints of a log to its folder. Only the writing
// goroutine uses it.
type sealer struct {
	dir  *folder
	last *Checkpoint // the newest on disk
	day  day         // of the history that is being written; it never goes back
	made bool        // the history's file is there
	size int64       // of it
}

// newest replaces the newest checkpoint by c. The lines that c covers must be
// durable. After an error that is errNoRoom all is as before; after any other
// the log must not be written again.
//
//	open checkpoint.tmp, write, fsync, rename to checkpoint
func (s *sealer) newest(c *Checkpoint, signers ...note.Signer) ([]byte, error) {
	msg, err := c.sign(signers)
	if err != nil {
		return nil, fmt.Errorf("signing a checkpoint: %w", err)
	}
	if err := s.dir.replace(checkpointName, msg); err != nil {
		return nil, err
	}
	s.last = c
	return msg, nil
}

// note appends the newest checkpoint to its day's history too. The folder is
// fsynced before: else a power cut could leave a history that is ahead of
// checkpoint, which looks as if checkpoint had been put back.
func (s *sealer) note(msg []byte) error {
	if err := s.dir.sync(); err != nil {
		return err
	}
	name, flags := s.day.historyName(), unix.O_WRONLY|unix.O_APPEND
	if !s.made {
		flags |= unix.O_CREAT | unix.O_EXCL
	}
	raw, err := s.dir.open(name, flags)
	if err != nil {
		return unlessNoRoom("opening "+name, err)
	}
	fresh := s.size == 0 // or there was no room for its first note
	s.made = true
	f := s.dir.wrapped(name, dataFile{raw})
	err = errors.Join(s.append(f, raw, name, msg), f.Close())
	if err == nil && fresh {
		err = s.dir.sync()
	}
	return err
}

func (s *sealer) append(f file, raw *os.File, name string, msg []byte) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(raw.Fd()), &st); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if st.Size != s.size {
		return fmt.Errorf("%s was changed by another: %d bytes, want %d", name, st.Size, s.size)
	}
	if s.size > 0 {
		msg = append([]byte("\n"), msg...)
	}
	if n, err := f.Write(msg); err != nil || n < len(msg) {
		return undoWrite(f, name, s.size, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("fsync of %s: %w", name, err)
	}
	s.size += int64(len(msg))
	return nil
}

// turn goes on with the history of another day.
func (s *sealer) turn(today day) { s.day, s.made, s.size = today, false, 0 }

// replace writes a file of the folder as a whole: the name always leads to all
// of the old content or all of the new. The new name is not yet durable.
func (d *folder) replace(name string, content []byte) error {
	if err := d.writeTemp(name, content); err != nil {
		return err
	}
	return d.rename(name+tempSuffix, name)
}

// writeTemp makes the content durable under the name + tempSuffix.
func (d *folder) writeTemp(name string, content []byte) error {
	name += tempSuffix
	if err := d.remove(name); err != nil {
		return err
	}
	raw, err := d.open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)
	if err != nil {
		return unlessNoRoom("making "+name, err)
	}
	f := d.wrapped(name, dataFile{raw})
	n, err := f.Write(content)
	if err != nil || n < len(content) {
		return errors.Join(undoWrite(f, name, 0, err), f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("fsync of %s: %w", name, err), f.Close())
	}
	return f.Close()
}

func (d *folder) rename(from, to string) error {
	fd := int(d.dir.Fd())
	if err := unix.Renameat(fd, from, fd, to); err != nil {
		return unlessNoRoom("renaming "+from+" to "+to, err)
	}
	return nil
}

// remove removes the file if it is there.
func (d *folder) remove(name string) error {
	err := unix.Unlinkat(int(d.dir.Fd()), name, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return nil
}
