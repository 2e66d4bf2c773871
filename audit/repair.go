package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A cut is the torn end of a file.
type cut struct {
	name       string
	good, size int64 // what lies between is cut
	cause      error
}

// cut returns what is torn, nil if nothing is.
func (t *tail) cut() *cut {
	if t.size <= t.good {
		return nil
	}
	return &cut{t.name, t.good, t.size, t.torn}
}

// cut keeps what is torn in a file of its own and then takes it off the log. A
// run that dies on the way leaves what can be cut again.
func (l *Log) cut(c *cut) (*Record, error) {
	f, err := l.dir.open(c.name, unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	bad, err := readAt(f, c.good, c.size)
	if err != nil {
		return nil, err
	}
	evidence, err := l.keepEvidence(c, bad)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(c.good), f.Sync()); err != nil {
		return nil, fmt.Errorf("cutting %s back: %w", c.name, err)
	}
	return c.record(evidence, bad), nil
}

func (c *cut) record(evidence string, bad []byte) *Record {
	sum := Hash(sha256.Sum256(bad))
	return systemRecord(reasonRecovery, Object{
		{"cause", String(c.cause.Error())},
		{"cut_bytes", Int(int64(len(bad)))},
		{"evidence", String(evidence)},
		{"file", String(c.name)},
		{"offset", Int(c.good)},
		{"sha256", String(sum.String())},
	})
}

// untold tells of what an earlier repair cut off that died before it could: what was
// cut where the file ends has no record, which would stand there.
func (l *Log) untold(t *tail) (records []*Record, err error) {
	c := &cut{name: t.name, good: t.good, cause: errors.New("a repair that died before it told of this")}
	for n := 1; t.size == t.good; n++ {
		evidence := c.evidence(n)
		bad, err := readBounded(l.dir, evidence, maxTorn)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return records, nil
		case err != nil:
			return nil, err
		}
		records = append(records, c.record(evidence, bad))
	}
	return records, nil
}

// evidence returns the n-th name for what is cut there.
func (c *cut) evidence(n int) string {
	at := tornMark + strconv.FormatInt(c.good, 10)
	if n == 1 {
		return c.name + at
	}
	return c.name + "." + strconv.Itoa(n) + at
}

// keepEvidence writes the bytes to <file>.torn-<offset>, or finds them there. If
// another repair at this offset has left other bytes, a number tells them apart.
func (l *Log) keepEvidence(c *cut, bad []byte) (string, error) {
	for n := 1; ; n++ {
		name := c.evidence(n)
		kept, err := readBounded(l.dir, name, maxTorn)
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

// A rewrite is a part of a file that is to be written again.
type rewrite struct {
	name     string
	from, to int64
}

// rewrite writes what is kept and no checkpoint vouches for again in place, and
// makes it durable: after a failed fsync the kernel calls pages clean that never
// reached the disk.
func (l *Log) rewrite(r rewrite) error {
	if r.from >= r.to {
		return nil
	}
	f, err := l.dir.open(r.name, unix.O_RDWR)
	if err != nil {
		return err
	}
	err = rewriteBytes(f, r.from, r.to)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the end of %s again: %w", r.name, err)
	}
	return l.dir.sync()
}

func rewriteBytes(f *os.File, from, to int64) error {
	for ; from < to; from += allocateStep {
		data, err := readAt(f, from, min(to, from+allocateStep))
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(data, from); err != nil {
			return err
		}
	}
	return nil
}
