package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// tornMark is in the name of a file that holds what was cut from a day file:
// the day file's name, the mark and the offset where it lay.
const tornMark = ".torn-"

// maxTorn is how many bytes at most may be cut as torn: two commits.
const maxTorn = 2 * maxBatch

// read follows the file's lines to the first bad byte, and decides whether what
// follows is the torn end of a run that died or damage.
func (t *tail) read(dir *folder, days []string, i int) error {
	t.name = days[i]
	if i > 0 {
		t.previous = days[i-1]
	}
	data, err := readFile(dir, t.name)
	if err != nil {
		return err
	}
	t.data, t.size = data, int64(len(data))
	for rest := data; len(rest) > 0 && t.torn == nil; {
		line, after, terminated := bytes.Cut(rest, []byte("\n"))
		if !terminated {
			t.torn = errors.New("a line without end")
			break
		}
		if _, t.torn = t.next(line, t.good == 0, t.previous); t.torn == nil {
			t.good += int64(len(line)) + 1
			rest = after
		}
	}
	if t.torn != nil {
		if err := t.checkTorn(); err != nil {
			return err
		}
	}
	if t.withinDayRecord() {
		return t.unbegun()
	}
	return t.checkBefore(dir)
}

// unbegun takes a file that ends before its `day` record does for one that no
// line was written to: which requests are open, only all its parts say.
func (t *tail) unbegun() error {
	if t.torn == nil {
		t.torn = errors.New("a day record without its other parts")
	}
	if t.previous == "" {
		return fmt.Errorf("%s: %w: bring the day file before it back", t.name, t.torn)
	}
	t.good, t.records = 0, 0
	return nil
}

// checkTorn refuses what no crash leaves: a crash spoils the end of what was
// written last, an altered line has whole ones behind it.
func (t *tail) checkTorn() error {
	bad := t.data[t.good:]
	place := fmt.Errorf("%s: line %d (byte %d, after seq %d): %w", t.name, t.records+1, t.good,
		t.head.Seq, t.torn)
	if len(bad) > maxTorn {
		return fmt.Errorf("%w: %d bytes follow, more than one run writes at once: %w",
			place, len(bad), errDamaged)
	}
	line, after, _ := bytes.Cut(bad, []byte("\n"))
	if t.lostSector(bytes.IndexByte(line, 0)) {
		return nil
	}
	for len(after) > 0 {
		line, after, _ = bytes.Cut(after, []byte("\n"))
		if _, err := Parse(line); err == nil {
			return fmt.Errorf("%w: whole lines follow: %w", place, errDamaged)
		}
	}
	return nil
}

// sector is the least that a disk writes at once, in bytes.
const sector = 512

// lostSector reports whether the NULs at this place behind the good lines are
// what a power cut leaves of pages that never reached the disk: they end where
// the file or a sector does. at is -1 if there are none.
func (t *tail) lostSector(at int) bool {
	if at < 0 {
		return false
	}
	end := t.good + int64(at)
	for end < t.size && t.data[end] == 0 {
		end++
	}
	return end == t.size || end%sector == 0
}

// checkBefore compares the file's first line with the last of the file before.
func (t *tail) checkBefore(dir *folder) error {
	if t.previous == "" || t.good == 0 {
		return nil
	}
	first, _, _ := bytes.Cut(t.data, []byte("\n"))
	r, err := Parse(first)
	if err != nil {
		return err
	}
	last, err := lastLine(dir, t.previous)
	if err != nil {
		return fmt.Errorf("%s: %w", t.previous, err)
	}
	if HashLine(last) != r.PrevHash {
		return fmt.Errorf("%s: line 1: prev_hash is not the hash of the last line of %s: %w",
			t.name, t.previous, errDamaged)
	}
	return nil
}

// cut keeps what is torn in a file of its own and then takes it off the log. A
// run that dies on the way leaves what can be cut again.
func (l *Log) cut(t *tail) (*Record, error) {
	bad := t.data[t.good:]
	name, err := l.keepEvidence(t, bad)
	if err != nil {
		return nil, err
	}
	f, err := l.dir.open(t.name, unix.O_WRONLY)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(t.good), f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("cutting %s back: %w", t.name, err)
	}
	sum := Hash(sha256.Sum256(bad))
	return systemRecord("recovery", Object{
		{"cause", String(t.torn.Error())},
		{"cut_bytes", Int(int64(len(bad)))},
		{"evidence", String(name)},
		{"file", String(t.name)},
		{"offset", Int(t.good)},
		{"sha256", String(sum.String())},
	}), nil
}

// keepEvidence writes the bytes to <file>.torn-<offset>, or finds them there. If
// another repair at this offset has left other bytes, a number tells them apart.
func (l *Log) keepEvidence(t *tail, bad []byte) (string, error) {
	for n := 1; ; n++ {
		name := t.name + tornMark + strconv.FormatInt(t.good, 10)
		if n > 1 {
			name = t.name + "." + strconv.Itoa(n) + tornMark + strconv.FormatInt(t.good, 10)
		}
		kept, err := readFile(l.dir, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return name, l.writeEvidence(name, bad)
		case err != nil:
			return "", err
		case bytes.Equal(kept, bad):
			return name, nil
		case bytes.HasPrefix(bad, kept): // a repair died while it wrote this
			return name, l.writeEvidence(name, bad)
		}
	}
}

func (l *Log) writeEvidence(name string, bad []byte) error {
	f, err := l.dir.open(name, unix.O_WRONLY|unix.O_CREAT)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bad, 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("keeping the torn end in %s: %w", name, err)
	}
	return l.dir.sync()
}

// rewrite writes the end of what is kept again in place and makes it durable:
// after a failed fsync the kernel calls pages clean that never reached the disk.
func (l *Log) rewrite(t *tail) error {
	from := max(0, t.good-maxTorn)
	if t.good == 0 {
		return nil
	}
	f, err := l.dir.open(t.name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(t.data[from:t.good], from)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the end of %s again: %w", t.name, err)
	}
	return l.dir.sync()
}

// lastLine reads the last line of a file, without its newline.
func lastLine(dir *folder, name string) ([]byte, error) {
	f, err := dir.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, min(end, MaxLine+1))
	if _, err := f.ReadAt(buf, end-int64(len(buf))); err != nil {
		return nil, err
	}
	line, terminated := bytes.CutSuffix(buf, []byte("\n"))
	if !terminated {
		return nil, errUnterminated
	}
	return line[bytes.LastIndexByte(line, '\n')+1:], nil
}

func readFile(dir *folder, name string) ([]byte, error) {
	f, err := dir.open(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}
