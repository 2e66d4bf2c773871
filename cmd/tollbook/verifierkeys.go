package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tollbook/audit"
)

// verifierKeys are the keys of the command line by their names: the log's that a
// key is for, or [audit.AnyLog].
type verifierKeys struct {
	byName map[string]string
	unused map[string]bool // named after a log that was not seen
}

// parseVerifierKeys reads the values of --key. The error is a usageError.
func parseVerifierKeys(texts []string) (*verifierKeys, error) {
	k := &verifierKeys{make(map[string]string), make(map[string]bool)}
	for _, text := range texts {
		if err := checkKey(text); err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(text, "+")
		if _, twice := k.byName[name]; twice {
			return nil, usageError{fmt.Errorf("--key: two keys are named %s", name)}
		}
		k.byName[name] = text
		k.unused[name] = name != audit.AnyLog
	}
	return k, nil
}

// checkKey refuses, with a usageError, a value of --key that is no verifier key.
func checkKey(text string) error {
	if err := audit.CheckVerifierKey(text); err != nil {
		return usageError{fmt.Errorf("--key: %w", err)}
	}
	return nil
}

// of returns the key to verify the log in the folder with: the one that is named
// after it, else the one for any log. It is "" if none was given, and an error
// if none of those that were is of this log.
func (k *verifierKeys) of(dir string) (string, error) {
	if len(k.byName) == 0 {
		return "", nil
	}
	id, err := audit.IDOf(dir)
	if err != nil { // verifying it says why; it must not be held against its own key
		return k.byName[slices.Sorted(maps.Keys(k.byName))[0]], nil
	}
	name := audit.AnyLog + "/" + id
	k.unused[name] = false
	if key, ok := k.byName[name]; ok {
		return key, nil
	}
	if key, ok := k.byName[audit.AnyLog]; ok {
		return key, nil
	}
	return "", fmt.Errorf("no --key is of this log (%s)", id)
}

// missing returns the names of keys whose logs were not seen.
func (k *verifierKeys) missing() []string {
	names := slices.Sorted(maps.Keys(k.unused))
	return slices.DeleteFunc(names, func(name string) bool { return !k.unused[name] })
}
