package audit_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

// A model is a log under a random sequence of all that can happen to it, and
// what must then be in its trail.
type model struct {
	t       *testing.T
	rng     *rand.Rand
	clock   *clock
	world   *world
	tr      *trail
	steps   []string // what was done, to tell of a failure
	n       int      // of requests
	open    map[string]*audit.Exchange
	begun   map[string]bool // recorded for certain
	maybe   map[string]bool // in flight when the writer was killed
	ended   map[string]bool // as completed, for certain
	unsure  map[string]bool // their outcome was not acknowledged
	key     string          // the first verifier key
	mu      sync.Mutex
	anchors [][]byte // the last checkpoints of the histories, with mu held
	fat     bool
}

// More seeds than those of the plain run: go test ./audit -run Sequence -model 1000.
var modelSeeds = flag.Int("model", 12, "how many random sequences of faults to try")

func TestNoSequenceOfFaultsLeavesATrailThatIsRefusedOrWrong(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*modelSeeds) { //nolint:gosec // it is not negative
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			m := newModel(t, seed)
			for range 120 {
				m.step()
			}
			m.world.killAfter(-1)
			m.restart()
			m.clean()
		})
	}
}

// modelWait is short: what queued behind a commit that failed waits for as long.
const modelWait = 300 * time.Millisecond

func newModel(t *testing.T, seed uint64) *model {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // it must be the same each time
	m := &model{
		t: t, rng: rng, clock: newClock("2026-03-01T23:50:00Z"), fat: seed%4 == 3,
		open: map[string]*audit.Exchange{}, begun: map[string]bool{}, maybe: map[string]bool{},
		ended: map[string]bool{}, unsure: map[string]bool{},
		world: &world{
			rng:   rand.New(rand.NewPCG(seed, 2)), //nolint:gosec // the same
			power: seed%2 == 0,
		},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d, the steps were: %s", seed, strings.Join(m.steps, " "))
		}
	})
	m.world.begin(t.TempDir())
	m.reopen()
	return m
}

func (m *model) did(format string, args ...any) {
	m.steps = append(m.steps, fmt.Sprintf(format, args...))
}

// step does one random thing; the writer may be killed at any call to the disk.
func (m *model) step() {
	if m.rng.IntN(12) == 0 {
		m.world.killAfter(m.rng.IntN(12))
	}
	switch op := m.rng.IntN(40); {
	case op < 12:
		m.beginOne()
	case op < 20:
		m.endOne()
	case op < 22:
		m.did("refuse")
		m.tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
	case op < 29:
		m.tick(1)
	case op < 30:
		m.tick(61)
	case op < 32:
		m.pass(time.Duration(m.rng.IntN(7200)) * time.Second)
	case op < 33:
		m.pass(24 * time.Hour)
	case op < 35:
		m.set(time.Duration(m.rng.IntN(2*7200)-7200) * time.Second)
	case op < 37:
		m.world.fill(m.rng.IntN(3))
		m.did("full %q", m.world.full)
	case op < 38:
		m.restart()
	case op < 39:
		m.rotate()
	default:
		m.did("kill")
		m.world.killNow()
	}
	m.comeBack()
}

func (m *model) pass(d time.Duration) {
	m.did("pass %s", d)
	m.clock.Add(d)
}

func (m *model) set(d time.Duration) {
	m.did("set %s", d)
	m.clock.Set(d)
}

func (m *model) beginOne() {
	m.n++
	id := "r" + strconv.Itoa(m.n)
	r := request(id)
	if m.fat {
		r.UserAgent = strings.Repeat("x", m.rng.IntN(audit.MaxLine))
	}
	m.did("begin %s", id)
	x, err := m.tr.Begin(context.Background(), r)
	switch {
	case m.world.dead():
		m.maybe[id] = true
	case err == nil:
		m.open[id], m.begun[id] = x, true
	case errors.Is(err, audit.ErrTaken):
		m.maybe[id] = true
	case !errors.Is(err, audit.ErrUnavailable):
		m.t.Fatalf("Begin: %v", err)
	}
}

func (m *model) endOne() {
	if len(m.open) == 0 {
		return
	}
	ids := make([]string, 0, len(m.open))
	for id := range m.open {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := ids[m.rng.IntN(len(ids))]
	m.did("end %s", id)
	err := m.open[id].End(audit.Result{Outcome: audit.OK, HTTPStatus: 200})
	delete(m.open, id)
	if m.ended[id] = err == nil && !m.world.dead(); !m.ended[id] {
		m.unsure[id] = true
	}
}

func (m *model) tick(n int) {
	m.did("tick %d", n)
	for range n + 1 { // the last is only taken when the one before is done
		select {
		case m.tr.ticks <- time.Time{}:
		case <-m.tr.Failed():
			m.t.Fatalf("the log has failed: %v", m.tr.Err())
		}
	}
}
