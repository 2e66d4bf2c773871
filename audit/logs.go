package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Logs returns the names of the subfolders of dir that are logs, in order of
// their names: those that hold files of one. It returns none if dir holds day files
// itself and so is one log, whatever lies beside them. The error is [ErrNoTrail]
// if there are day files in neither.
func Logs(dir string) ([]string, error) {
	if days, err := daysIn(dir); err != nil || len(days) > 0 {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	var logs []string
	for _, e := range entries {
		isLog, err := holdsLog(dir, e)
		if err != nil {
			return nil, err
		}
		if isLog {
			logs = append(logs, e.Name())
		}
	}
	if len(logs) == 0 {
		return nil, fmt.Errorf("%w in %q, nor in a folder in it", ErrNoTrail, dir)
	}
	return logs, nil
}

// lostAndFound is in the root of a volume and is root's alone: whoever may read
// the logs beside it need not be allowed to look into it.
const lostAndFound = "lost+found"

// holdsLog reports whether e, found in dir, is a folder, or a link to one, with
// files of a log. One without day files, and one that is empty, counts too: a log
// that lost them must not pass for none.
func holdsLog(dir string, e fs.DirEntry) (bool, error) {
	if !e.IsDir() && e.Type() != fs.ModeSymlink || e.Name() == lostAndFound {
		return false, nil
	}
	found, err := inventoryOf(filepath.Join(dir, e.Name()))
	if errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	return err == nil && (found.empty || len(found.files()) > 0), err
}

func inventoryOf(dir string) (*inventory, error) {
	d, err := openForReading(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	found, err := d.inventory()
	if err != nil {
		err = fmt.Errorf("audit: %w", err)
	}
	return found, errors.Join(err, d.close())
}

// daysIn returns the names of the day files in dir, oldest first.
func daysIn(dir string) ([]string, error) {
	found, err := inventoryOf(dir)
	if err != nil {
		return nil, err
	}
	return found.days, nil
}
