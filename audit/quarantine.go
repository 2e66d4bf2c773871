package audit

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrSound says that a log needs no quarantine: a start would take it.
var ErrSound = errors.New("audit: the log can be started: there is nothing to quarantine")

// A QuarantineConfig says why a log is given up.
type QuarantineConfig struct {
	// Why is recorded: who gives the log up, and why.
	Why string
	// KeyLost gives up a log also if nothing is wrong but that its signing key is
	// missing.
	KeyLost bool
}

// Quarantine gives up a log whose files a start refuses: all of them are moved, as
// they are, into a folder of their own inside cfg.Dir, and a new log is begun,
// whose `quarantine` record tells of the old one and of why. It returns the name
// of the folder. Nothing is moved if a start would take the log (ErrSound), or
// refuse it for other reasons than what its files hold: a missing or another key,
// a rotation that did not end, files that can't be read.
func Quarantine(cfg Config, q QuarantineConfig) (moved string, err error) {
	cfg.defaults()
	if of := cfg.SigningKey.logID(); of != "" {
		return "", fmt.Errorf("audit: the signing key that is given is that of log %s and can't sign another: "+
			"give one that `tollbook audit key --new` prints, or none", of)
	}
	about, moved, err := setAside(cfg, q)
	if err != nil {
		return "", err
	}
	cfg.setAside = about
	l, err := Open(cfg)
	if err != nil {
		return moved, err
	}
	return moved, l.Close()
}

// successor tells, as the first of a log that is begun, what was set aside before
// it. That is known from the folders too, if the quarantine died when all was
// moved: no log follows another in silence.
func (l *Log) successor(found *inventory) []*Record {
	about := l.setAside
	if about == nil && len(found.quarantined) > 0 {
		last := len(found.quarantined) - 1
		about = Object{
			{"cause", String("a quarantine that did not end")},
			{"folder", String(found.quarantined[last])},
		}.with(earlier(found.quarantined[:last])).with(l.dir.lastKnown(found.quarantined[last]))
	}
	if about == nil {
		return nil
	}
	return []*Record{systemRecord("quarantine", about)}
}

// earlier names the folders of earlier quarantines.
func earlier(folders []string) Object {
	names := make(Object, len(folders))
	for i, folder := range folders {
		names[i] = Member{"earlier_" + strconv.Itoa(i+1), String(folder)}
	}
	return names
}

// setAside moves the files, and returns what there is to tell.
func setAside(cfg Config, q QuarantineConfig) (about Object, moved string, err error) {
	d, err := cfg.openExisting()
	if err != nil {
		return nil, "", fmt.Errorf("audit: %w", err)
	}
	defer func() { err = errors.Join(err, d.close()) }()
	found, err := d.inventory()
	if err != nil {
		return nil, "", fmt.Errorf("audit: %w", err)
	}
	cause := examine(cfg, d, found)
	switch lost := errors.Is(cause, errNoKey) && q.KeyLost; {
	case cause == nil:
		return nil, "", ErrSound
	case !lost && !errors.Is(cause, errDamaged):
		return nil, "", fmt.Errorf("audit: this is not for a quarantine to cure: %w", cause)
	}
	moved = quarantineMark + cfg.Now().UTC().Format("20060102T150405.000Z")
	if err := d.moveInto(moved, found.files()); err != nil {
		return nil, "", fmt.Errorf("audit: %w", err)
	}
	about = Object{
		{"cause", String(cause.Error())},
		{"folder", String(moved)},
		{"why", String(q.Why)},
	}
	return about.with(earlier(found.quarantined)).with(d.lastKnown(moved)), moved, nil
}

// examine returns why a start would refuse the log, nil if it would not.
func examine(cfg Config, d *folder, found *inventory) error {
	l := &Log{Config: cfg, dir: d}
	newest, err := l.existing(found)
	if err != nil || newest == nil {
		return err
	}
	if _, err := l.readHistory(found, newest); err != nil {
		return err
	}
	_, err = readTail(d, found, newest, l.ownKeys())
	return err
}

// moveInto makes a folder in d and moves the files there.
func (d *folder) moveInto(name string, files []string) error {
	fd := int(d.dir.Fd())
	if err := unix.Mkdirat(fd, name, 0o700); err != nil {
		return fmt.Errorf("making folder %s: %w", name, err)
	}
	to, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening folder %s: %w", name, err)
	}
	defer unix.Close(to)
	for _, file := range files {
		if err := unix.Renameat(fd, file, to, file); err != nil {
			return fmt.Errorf("moving %s: %w", file, err)
		}
	}
	if err := unix.Fsync(to); err != nil {
		return fmt.Errorf("fsync of folder %s: %w", name, err)
	}
	return d.sync()
}

// lastKnown tells which log was set aside, as its newest checkpoint has it.
func (d *folder) lastKnown(moved string) Object {
	msg, err := readBounded(d, moved+"/"+checkpointName, maxNote)
	if err != nil {
		return nil // it may be what was wrong
	}
	m, err := newMark(msg, "")
	if err != nil {
		return nil
	}
	return Object{
		{"log_id", String(m.LogID)},
		{"root", String(string(appendBase64(nil, m.Root)))},
		{"tree_size", Int(m.Size)},
		{"time", String(m.Time.Format(time.RFC3339))},
	}
}
