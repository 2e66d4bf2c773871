package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/joho/godotenv"
)

// defaultEnvFile is loaded from the working folder when it is there.
const defaultEnvFile = ".env.local"

// Bounds of the files that settings come from: ten times a complete example,
// and ten times the longest key.
const (
	maxEnvFile    = 64 << 10
	maxSecretFile = 16 << 10
)

// readEnvFile reads envFile, or the default one in dir if there is one. It
// returns the variables with the path they came from, "" for no file.
func readEnvFile(dir, envFile string) (vars map[string]string, path string, err error) {
	path = inDir(dir, defaultEnvFile)
	if envFile != "" {
		path = inDir(dir, envFile)
	}
	src, err := readBounded(path, maxEnvFile)
	if envFile == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("environment file: %w", err)
	}
	vars, err = parseEnvFile(src)
	if err != nil {
		return nil, "", fmt.Errorf("environment file %q: %w", path, err)
	}
	return vars, path, nil
}

// parseEnvFile is godotenv's parser without its messages, which quote the rest
// of the file, secrets and all.
func parseEnvFile(src []byte) (map[string]string, error) {
	vars, err := godotenv.UnmarshalBytes(src)
	if err != nil {
		return nil, fmt.Errorf("line %d is not NAME=value; "+
			"put a value of several lines, such as a PEM, in double quotes", badLine(src))
	}
	for name := range vars {
		// "FOO BAR=x" gives a name with a space, a lone word at the end none.
		if name == "" || strings.ContainsAny(name, " \t\r\n") {
			return nil, errors.New("one line is not NAME=value; " +
				"put a value of several lines, such as a PEM, in double quotes")
		}
	}
	return vars, refuseExpansion(src)
}

// statements yields the shortest runs of lines that parse, each with the number
// of its first line: a comment, or a variable with all lines of its value.
func statements(src []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		first, start, line, end := 1, 0, 0, 0
		for text := range bytes.Lines(src) {
			line++
			end += len(text)
			if _, err := godotenv.UnmarshalBytes(src[start:end]); err != nil {
				continue
			}
			if !yield(first, src[start:end]) {
				return
			}
			first, start = line+1, end
		}
	}
}

// badLine is the number of the line where the parser gives up: the one after
// the last line that ends a run which parses.
func badLine(src []byte) int {
	bad := 1
	for first, run := range statements(src) {
		bad = first + bytes.Count(run, []byte("\n"))
	}
	return bad
}

// refuseExpansion refuses a value of ours in which the parser puts something
// else, or nothing, for a $NAME: nobody would see that the setting is another.
// src must parse.
func refuseExpansion(src []byte) error {
	for line, run := range statements(src) {
		if name := expanded(run); name != "" {
			return fmt.Errorf("line %d: %s has a $ that would be expanded; "+
				"write it without $, or set it in the process environment", line, name)
		}
	}
	return nil
}

// hideDollars puts a byte that means nothing to the parser for each $ that has
// no \ before it.
var hideDollars = strings.NewReplacer(`\$`, `\$`, "$", "\x00")

// expanded is the first name of ours in run whose value would be another one
// if $ meant nothing, "" for none.
func expanded(run []byte) string {
	// Both parse: a run does, and $ is nowhere part of its form.
	got, _ := godotenv.UnmarshalBytes(run)
	plain, _ := godotenv.Unmarshal(hideDollars.Replace(string(run)))
	for _, name := range slices.Sorted(maps.Keys(got)) {
		ours := strings.HasPrefix(name, ownPrefix) || strings.HasPrefix(name, clerkPrefix)
		if ours && allHidden(got[name]) != allHidden(plain[name]) {
			return name
		}
	}
	return ""
}

// allHidden makes values comparable in which some dollars were hidden.
func allHidden(value string) string { return strings.ReplaceAll(value, "$", "\x00") }

// inDir takes a relative path from dir.
func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// readBounded reads a whole file of at most limit bytes.
func readBounded(path string, limit int64) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%q is larger than %d bytes", path, limit)
	}
	return data, nil
}
