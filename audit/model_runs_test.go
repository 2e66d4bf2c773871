package audit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"tollbook/audit"
)

// restart ends the run well, and begins another.
func (m *model) restart() {
	m.did("restart")
	m.world.heal()
	if m.close() {
		m.reopen()
	}
}

// close ends the run, and reports whether it was not killed meanwhile. On a busy
// machine that may take long.
func (m *model) close() bool {
	err := m.tr.Close()
	for n := 0; n < 60 && err != nil && strings.Contains(err.Error(), "does not end"); n++ {
		err = m.tr.Close()
	}
	if err != nil && !m.world.dead() {
		m.t.Fatalf("Close: %v", err)
	}
	return !m.world.dead()
}

// comeBack goes on in what the killed writer left.
func (m *model) comeBack() {
	if !m.world.dead() {
		return
	}
	m.did("killed at %q", m.world.at)
	m.world.heal()
	_ = m.tr.Close()
	m.world.resurrect(m.t)
	m.reopen()
}

func (m *model) config() audit.Config {
	cfg := audit.WithTicks(audit.Config{Dir: m.world.dir, MaxWait: modelWait}, m.tr.ticks)
	at(m.clock)(&cfg)
	if !m.world.power {
		cfg.Durability = audit.OS
	}
	cfg.OnCheckpoint = func(note string) {
		if m.world.dead() {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.anchors = append(m.anchors[max(0, len(m.anchors)-10):], []byte(note))
	}
	m.world.under(&cfg)
	return cfg
}

// reopen opens the log in the folder as it is, which may be killed too, and
// checks what the trail says.
func (m *model) reopen() {
	m.tr = &trail{t: m.t, clock: m.clock, ticks: make(chan time.Time)}
	if m.rng.IntN(4) == 0 {
		m.world.killAfter(m.rng.IntN(20))
	}
	var err error
	m.tr.Log, err = audit.Open(m.config())
	if err != nil && strings.Contains(err.Error(), "rotate-key") {
		m.rotateOnce()
		m.reopen()
		return
	}
	if m.world.dead() {
		if err == nil {
			_ = m.tr.Close()
		}
		m.did("killed in Open at %q", m.world.at)
		m.world.resurrect(m.t)
		m.reopen()
		return
	}
	m.world.killAfter(-1)
	if err != nil {
		m.t.Fatalf("Open: %v", err)
	}
	if m.key == "" {
		m.key = m.tr.VerifierKey()
	}
	m.open = map[string]*audit.Exchange{}
	m.check(m.world.dir)
}

// rotate changes keys between two runs.
func (m *model) rotate() {
	m.did("rotate")
	m.world.heal()
	if m.close() {
		m.rotateOnce()
		m.reopen()
	}
}

func (m *model) rotateOnce() {
	if m.rng.IntN(2) == 0 {
		m.world.killAfter(m.rng.IntN(16))
	}
	_, _, err := audit.RotateKey(m.t.Context(), m.config(), audit.SigningKey{})
	if m.world.dead() {
		m.did("killed in RotateKey at %q", m.world.at)
		m.world.resurrect(m.t)
		return
	}
	if err != nil {
		m.t.Fatalf("RotateKey: %v", err)
	}
	m.world.begin(m.world.dir) // the new key is in its place for good
}

// clean checks that a run that ended well leaves nothing to say.
func (m *model) clean() {
	m.close()
	m.check(m.world.dir)
}

// check holds the trail in dir against what was acknowledged.
func (m *model) check(dir string) {
	m.t.Helper()
	m.mu.Lock()
	anchors := slices.Clone(m.anchors)
	m.mu.Unlock()
	report, err := audit.Verify(context.Background(), dir, audit.VerifyConfig{Key: m.key, Checkpoints: anchors})
	if err != nil {
		m.t.Fatalf("Verify: %v in %s", err, dir)
	}
	if len(report.Open) != 0 {
		m.t.Fatalf("got %v open after a start", report.Open)
	}
	closed, received, told := map[string][]audit.Phase{}, map[string]bool{}, map[string]bool{}
	for _, r := range records(m.t, dir) {
		told[text(r.Metadata, "evidence")] = true
		switch r.Phase {
		case audit.Received:
			received[r.RequestID] = true
		case audit.Completed, audit.Interrupted:
			closed[r.RequestID] = append(closed[r.RequestID], r.Phase)
		}
	}
	for id := range m.begun {
		if !received[id] || len(closed[id]) != 1 {
			m.t.Errorf("%s: received %v and closed as %v, want once", id, received[id], closed[id])
		}
		if !m.unsure[id] && len(closed[id]) == 1 && (closed[id][0] == audit.Completed) != m.ended[id] {
			m.t.Errorf("%s: closed as %v, and End returned %v", id, closed[id], m.ended[id])
		}
	}
	for id := range received {
		if !m.begun[id] && !m.maybe[id] {
			m.t.Errorf("%s: received, and Begin was refused", id)
		}
	}
	for name := range contents(m.t, dir) {
		if strings.HasPrefix(name, "audit_") && strings.Contains(name, ".torn-") && !told[name] {
			m.t.Errorf("%s: no record tells of it", name)
		}
	}
	if m.t.Failed() {
		m.t.Fatal(errors.New("the trail is wrong"))
	}
}
