package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// A stuckWriter takes nothing between stick and letGo.
type stuckWriter struct {
	gate sync.RWMutex // held while it is stuck
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *stuckWriter) stick() { w.gate.Lock() }

func (w *stuckWriter) letGo() { w.gate.Unlock() }

func (w *stuckWriter) Write(p []byte) (int, error) {
	w.gate.RLock()
	defer w.gate.RUnlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

// A logLine is what these tests read of a line.
type logLine struct {
	Message     string `json:"msg"`
	Note        string `json:"note"`
	Dropped     int    `json:"dropped"`
	LogID       string `json:"log_id"`
	VerifierKey string `json:"verifier_key"`
}

// logLines reads the JSON lines of a log.
func logLines(t *testing.T, text string) (lines []logLine) {
	t.Helper()
	for line := range strings.Lines(text) {
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// notesIn returns the signed checkpoints of a log.
func notesIn(t *testing.T, text string) (notes []string) {
	t.Helper()
	for _, l := range logLines(t, text) {
		if l.Message == "audit checkpoint" {
			notes = append(notes, l.Note)
		}
	}
	return notes
}

// soon fails the test if do takes long.
func soon(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: still waiting", what)
	}
}

func TestALogThatNobodyReadsDoesNotStopTheTrail(t *testing.T) {
	t.Parallel()
	cfg, _, _, err := loadConfig(toServe(t), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	var w stuckWriter
	log := newLogger(&w, zap.InfoLevel)
	s, err := openSidecar(t.Context(), cfg, log, log)
	if err != nil {
		t.Fatal(err)
	}
	w.stick()
	soon(t, "a record", func() { err = s.trail.Record(t.Context(), "test", nil) })
	if err != nil {
		t.Error(err)
	}
	soon(t, "the end", func() { err = s.close() })
	if err != nil {
		t.Error(err)
	}
	w.letGo()
	soon(t, "the rest of the log", func() { <-s.news.done })
	notes := notesIn(t, w.text.String())
	if len(notes) == 0 || notes[len(notes)-1] != read(t, filepath.Join(cfg.Audit.Dir, "checkpoint")) {
		t.Errorf("got %q, want the newest checkpoint last", notes)
	}
}

func TestTheLastCheckpointIsLoggedBeforeTheEnd(t *testing.T) {
	t.Parallel()
	cfg, _, _, err := loadConfig(toServe(t), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	log := newLogger(&out, zap.InfoLevel)
	s, err := openSidecar(t.Context(), cfg, log, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	notes := notesIn(t, out.String())
	if len(notes) == 0 || notes[len(notes)-1] != read(t, filepath.Join(cfg.Audit.Dir, "checkpoint")) {
		t.Errorf("got %q, want the newest checkpoint last", notes)
	}
}

func TestTheNewestOfTheTrailIsLoggedAndWhatWasDroppedIsCounted(t *testing.T) {
	t.Parallel()
	const told = 100
	var w stuckWriter
	w.stick()
	log := newLogger(&w, zap.InfoLevel)
	n := newTrailNews(log, log)
	soon(t, "telling", func() {
		for i := range told {
			n.checkpoint(fmt.Sprintf("note %d", i))
			n.state(errors.New("cause"))
		}
		n.state(nil)
	})
	w.letGo()
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	lines, dropped := logLines(t, w.text.String()), 0
	for _, l := range lines {
		dropped += l.Dropped
	}
	if dropped == 0 || len(lines)+dropped != 2*told+1 {
		t.Errorf("got %d lines and %d dropped, want them to add up to %d", len(lines), dropped, 2*told+1)
	}
	notes := notesIn(t, w.text.String())
	if want := fmt.Sprintf("note %d", told-1); len(notes) == 0 || notes[len(notes)-1] != want {
		t.Errorf("got %q, want %q last", notes, want)
	}
	if !strings.Contains(w.text.String(), "audit trail available") {
		t.Error("the last state is missing")
	}
}

func TestWhatWasDroppedIsSaidOnALineThatIsWritten(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newLogger(&out, zap.ErrorLevel)
	n := newTrailNews(log, log)
	n.dropped.Store(3)
	n.logState(nil) // below the level
	n.logState(errors.New("cause"))
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	if lines := logLines(t, out.String()); len(lines) != 1 || lines[0].Dropped != 3 {
		t.Errorf("got %+v, want one line that says 3 dropped", lines)
	}
}

// A hookedWriter keeps what is written, and calls seen with it.
type hookedWriter struct {
	bytes.Buffer
	seen func(line string)
}

func (w *hookedWriter) Write(p []byte) (int, error) {
	w.seen(string(p))
	return w.Buffer.Write(p)
}

func TestTheAnchorIsLoggedWhateverTheLevel(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, level := range []string{"debug", "info", "warn", "error"} {
		dir := filepath.Join(t.TempDir(), "audit")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		stderr := hookedWriter{seen: func(line string) {
			if strings.Contains(line, "verifier_key") {
				cancel()
			}
		}}
		environ := toServe(t, "TOLLBOOK_LOG_LEVEL="+level, "TOLLBOOK_AUDIT_DIR="+dir)
		err := run(ctx, []string{"serve"}, environ, strings.NewReader(""), io.Discard, &stderr)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		lines := logLines(t, stderr.String())
		at := slices.IndexFunc(lines, func(l logLine) bool { return l.LogID != "" })
		if at < 0 || lines[at].VerifierKey != keyOf(t, dir) {
			t.Errorf("%s: got %+v, want a line with the log's id and its verifier key", level, lines)
		}
		notes := notesIn(t, stderr.String())
		if len(notes) == 0 || notes[len(notes)-1] != read(t, filepath.Join(dir, "checkpoint")) {
			t.Errorf("%s: got %q, want the newest checkpoint last", level, notes)
		}
		if said := strings.Contains(stderr.String(), `"draining"`); said != (level == "debug" || level == "info") {
			t.Errorf("%s: got draining logged: %v", level, said)
		}
	}
}
