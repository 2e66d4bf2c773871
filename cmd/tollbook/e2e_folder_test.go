package main_test

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecondProcessOnTheFolderIsRefused(t *testing.T) {
	t.Parallel()
	binary := buildTollbook(t)
	b := newBed(t, binary)
	first := b.ready(t)
	b.wantCreated(t)
	second := newBedOn(t, binary, b.trail).start(t)
	second.wantExit(t, 1)
	if out := second.output.String(); !strings.Contains(out, "in use by another process") {
		t.Errorf("the cause is not named:\n%s", out)
	}
	b.wantCreated(t)
	verifyTrail(t, binary, b.trail)
	first.terminate(t)
	b.judge(t)
}

// TestTamperedFileEndsTheProgram changes the day file underneath the program: the
// next request finds out, and the program must not go on.
func TestTamperedFileEndsTheProgram(t *testing.T) {
	t.Parallel()
	binary := buildTollbook(t)
	for _, c := range []struct {
		name   string
		tamper func(file string) error
	}{
		{"removed", os.Remove},
		{"renamed", func(file string) error { return os.Rename(file, file+".old") }},
		{"overwritten by another", func(file string) error {
			return errors.Join(copyFile(file, file+".copy"), os.Rename(file+".copy", file))
		}},
		{"renamed and replaced", func(file string) error {
			return errors.Join(os.Rename(file, file+".old"), copyFile(file+".old", file))
		}},
		{"given a second name", func(file string) error { return os.Link(file, file+".too") }},
		{"truncated", func(file string) error { return os.Truncate(file, 100) }},
		{"emptied", func(file string) error { return os.Truncate(file, 0) }},
		{"appended to", func(file string) error { return appendTo(file, "x") }},
		{"put away with its folder", func(file string) error {
			folder := filepath.Dir(file)
			return os.Rename(folder, folder+".old")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, binary)
			s := b.ready(t)
			b.wantCreated(t)
			b.hold(t.Context(), t) // keeps the program from ending at once
			if err := c.tamper(newestDay(t, b.trail)); err != nil {
				t.Fatalf("tampering: %v", err)
			}
			seen := b.up.requests()
			// Nobody listens any more if the program has found out by itself.
			if got := b.post(t); got.status != 0 {
				b.wantRefused(t, got, http.StatusServiceUnavailable, "audit_unavailable")
			}
			b.wantNoMore(t, s)
			s.wantExit(t, 1)
			if got := b.up.requests(); got != seen {
				t.Errorf("the upstream saw %d requests whose record was not on disk", got-seen)
			}
		})
	}
}

// copyFile makes to, with the bytes of from.
func copyFile(from, to string) error {
	content, err := os.ReadFile(filepath.Clean(from))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Clean(to), content, 0o600)
}

// appendTo appends text to the file.
func appendTo(file, text string) error {
	f, err := os.OpenFile(filepath.Clean(file), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

// TestTornLineIsKeptAndCut starts the program on a trail whose last line was not
// written to its end.
func TestTornLineIsKeptAndCut(t *testing.T) {
	t.Parallel()
	b := newBed(t, buildTollbook(t))
	b.tear(t)
	b.recovered(t)
	b.wantSystemRecord(t, "recovery")
	kept, err := filepath.Glob(filepath.Join(b.trail, "audit_*.torn-*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("evidence: got %q, %v, want one file", kept, err)
	}
	if got, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(got, []byte(tornLine)) {
		t.Errorf("evidence: got %q, %v, want %q", got, err, tornLine)
	}
}

// tornLine is what tear leaves of a line.
const tornLine = `{"timestamp":"2026-`

// tear leaves what a run does that is killed while it writes, with a request
// open.
func (b *bed) tear(t *testing.T) {
	t.Helper()
	s := b.ready(t)
	b.wantCreated(t)
	b.hold(t.Context(), t)
	s.kill()
	if err := appendTo(newestDay(t, b.trail), tornLine); err != nil {
		t.Fatalf("tearing the trail: %v", err)
	}
}
