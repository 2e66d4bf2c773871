package main_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// TestKillUnderLoadLosesNoRecord kills the program again and again at moments
// that are left to chance: while it starts, under load and while it shuts down.
// It holds the trail to the promise: what the upstream saw was on disk before,
// what a client holds whole is on disk too, and what was cut off is closed once,
// by the next start.
//
// TOLLBOOK_TEST_KILLS says how often, TOLLBOOK_TEST_SEED repeats a run as far as
// chance goes.
func TestKillUnderLoadLosesNoRecord(t *testing.T) {
	t.Parallel()
	const perTrail = 25 // start reads the whole file: a long one makes for few kills a second
	kills := testNumber(t, "TOLLBOOK_TEST_KILLS", 20)
	seed := testNumber(t, "TOLLBOOK_TEST_SEED", uint64(time.Now().UnixNano()))
	t.Logf("%d kills, TOLLBOOK_TEST_SEED=%d", kills, seed)
	binary := buildTollbook(t)
	for first := uint64(0); first < kills; first += perTrail {
		t.Run(fmt.Sprintf("from kill %d", first+1), func(t *testing.T) {
			t.Parallel()
			newKiller(t, binary, seed+first).run(t, int(min(perTrail, kills-first)))
		})
	}
}

// testNumber returns the number that the environment gives to the tests under
// this name, fallback if it gives none.
func testNumber(t *testing.T, name string, fallback uint64) uint64 {
	t.Helper()
	for _, pair := range os.Environ() {
		text, found := strings.CutPrefix(pair, name+"=")
		if !found || text == "" {
			continue
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", pair, err)
		}
		return n
	}
	return fallback
}

// testCount is testNumber for what fits an int.
func testCount(t *testing.T, name string, fallback uint64) int {
	t.Helper()
	n := testNumber(t, name, fallback)
	if n > math.MaxInt32 {
		t.Fatalf("%s: %d is too many", name, n)
	}
	return int(n) //nolint:gosec // G115: checked
}

// killer kills one program after the other over one trail, all on the same
// addresses, so that the clients go on meanwhile.
type killer struct {
	launch
	binary, trail string
	seed          uint64
	random        *rand.Rand
	up            *witness
	crowd         *crowd
	moments       [3]int // how often it was killed starting, under load, shutting down
	exits         int    // how often it had shut down before
}

func newKiller(t *testing.T, binary string, seed uint64) *killer {
	t.Helper()
	key, up, trail := clerktest.SharedKey(keyID), newWitness(t), filepath.Join(t.TempDir(), "trail")
	l := newLaunch(t, binary, up.url, trail, trusting(key))
	return &killer{
		launch: l, binary: binary, trail: trail,
		seed: seed, random: newRandom(seed, loadClients), up: up,
		crowd: &crowd{url: "http://" + l.proxy, tokens: tokens{key: key}},
	}
}

func (k *killer) run(t *testing.T, kills int) {
	t.Helper()
	begun := time.Now()
	stop := k.crowd.start(t, k.seed)
	for range kills {
		k.kill(t)
		if t.Failed() {
			return
		}
	}
	took := time.Since(begun) / time.Duration(kills)
	last := k.ready(t)
	stop()
	last.terminate(t)
	verifyTrail(t, k.binary, k.trail)
	k.judge(t)
	t.Logf("killed %d times starting, %d under load, %d shutting down, %d had ended; %v each",
		k.moments[0], k.moments[1], k.moments[2], k.exits, took.Round(time.Millisecond))
}

// ready starts the program and returns once it is ready. The trail is then whole
// again, though requests go on.
func (k *killer) ready(t *testing.T) *sidecar {
	t.Helper()
	s := k.start(t)
	s.waitUntilOK(t, s.admin+"/readyz")
	wantVerified(t, k.binary, k.trail)
	return s
}

// kill starts the program and kills it at some moment.
func (k *killer) kill(t *testing.T) {
	t.Helper()
	// Longer than a start takes, than it takes for all clients to be busy, and
	// than a shutdown takes that waits for held requests.
	const starting, loaded, ending = 40, 100, 200
	moment := k.random.IntN(len(k.moments))
	k.moments[moment]++
	var s *sidecar
	switch moment {
	case 0:
		s = k.start(t)
		k.sleep(starting)
	case 1:
		s = k.ready(t)
		k.sleep(loaded)
	default:
		s = k.ready(t)
		k.sleep(loaded)
		s.signal(t, syscall.SIGTERM)
		k.sleep(ending)
	}
	s.kill()
	switch state := s.cmd.ProcessState; {
	case !state.Exited():
	case moment == 2 && state.Success():
		k.exits++
	default:
		t.Errorf("before it was killed: got %v", state)
	}
}

// sleep waits for at most so many milliseconds.
func (k *killer) sleep(most int) {
	time.Sleep(between(k.random, 0, time.Duration(most)*time.Millisecond))
}

// judge compares what upstream and clients saw with what the trail says.
func (k *killer) judge(t *testing.T) {
	t.Helper()
	closed := wantClosedOnce(t, readTrail(t, k.trail))
	good, refused := k.crowd.replies(t)
	wantRecorded(t, closed, good)
	k.up.wantReceived(t, closed)
	interrupted := 0
	for _, r := range closed {
		if r.Phase == "interrupted" {
			interrupted++
		}
	}
	if interrupted == 0 || len(good) == 0 {
		t.Errorf("got %d requests interrupted and %d whole replies, want some of both",
			interrupted, len(good))
	}
	t.Logf("%d requests in the trail, %d of them interrupted; %d seen upstream; "+
		"clients: %d whole replies, %d refused, %d cut off",
		len(closed), interrupted, k.up.requests(), len(good), refused, k.crowd.cut)
}
