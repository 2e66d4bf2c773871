package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// writeNewFile makes a file of what write writes, readable by its owner only. It
// is not there until it is whole and on disk; after an error, and if there is one
// of that name, which is a usageError, nothing is left or changed.
func writeNewFile(path string, write func(io.Writer) error) (err error) {
	switch _, err := os.Lstat(path); {
	case err == nil:
		return alreadyThere(path)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removeIfThere(f.Name())) }()
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return rename(f.Name(), path)
}

// rename gives a file its name, unless there is one of that name by now.
func rename(from, to string) error {
	err := os.Link(from, to) // never replaces
	switch {
	case err == nil:
		return nil // the temporary name is removed by the caller
	case errors.Is(err, fs.ErrExist):
		return alreadyThere(to)
	}
	// A file system without hard links.
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return alreadyThere(to)
	}
	return os.Rename(from, to)
}

func alreadyThere(path string) error {
	return usageError{fmt.Errorf("%s is there already: it is not overwritten", path)}
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
