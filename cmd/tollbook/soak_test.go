package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// TestSoak attacks the program in every way that peers fell to, beside a steady
// load of good requests. All of these must be answered, and memory must stay
// within its bound. How long they took is shown; `make soak`, which is not run
// beside anything else, holds their p99 to twice its quiet value.
//
// TOLLBOOK_TEST_SOAK is the length of each phase in milliseconds,
// TOLLBOOK_TEST_SOAK_SCALE the size of the attacks in percent, and
// TOLLBOOK_TEST_SOAK_P99=1 makes p99 count, with the trail on a disk in memory.
func TestSoak(t *testing.T) {
	s := newSoak(t)
	calm := attack{name: "quiet", mebibytes: 400}
	s.phase(t, calm) // warms it up
	for _, a := range s.attacks() {
		before := s.phase(t, calm)
		got := s.phase(t, a)
		ratio := float64(got.p99) / float64(before.p99)
		t.Logf("%-24s p99 %.2f x quiet", a.name, ratio)
		if s.strict && ratio > maxP99Ratio {
			t.Errorf("%s: good requests had p99 %v, want at most %d x the quiet %v",
				a.name, got.p99, maxP99Ratio, before.p99)
		}
	}
	s.sidecar.terminate(t)
	verifyTrail(t, s.binary, s.trail)
}

// maxP99Ratio is how much longer good requests may take under attack.
const maxP99Ratio = 2

// A soak is a program under attack.
type soak struct {
	binary, trail string
	sidecar       *sidecar
	tokens        tokens
	length        time.Duration // of a phase
	percent       int           // of the full size of an attack
	strict        bool
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	key := clerktest.SharedKey(keyID)
	s := &soak{
		binary: buildTollbook(t), trail: filepath.Join(t.TempDir(), "trail"), tokens: tokens{key: key},
		length:  time.Duration(testCount(t, "TOLLBOOK_TEST_SOAK", 300)) * time.Millisecond,
		percent: testCount(t, "TOLLBOOK_TEST_SOAK_SCALE", 2),
		strict:  testNumber(t, "TOLLBOOK_TEST_SOAK_P99", 0) == 1,
	}
	if s.strict { // it is not the disk that is attacked, and its own stalls would drown the rest
		s.trail = filepath.Join(mountMemory(t, "1g"), "trail")
	}
	settings := trusting(key)
	s.sidecar = startSidecar(t, s.binary, newEchoes(t), s.trail, settings)
	return s
}

// An attack is something that goes on beside the good requests.
type attack struct {
	name string
	// size is how many connections it has, in full.
	size int
	// begin starts it, and returns when it is under way; done ends it. nil is no
	// attack.
	begin func(t *testing.T, connections int) (done func())
	// mebibytes is the most memory that the program may then have, at full size.
	mebibytes int
}

func (s *soak) attacks() []attack {
	return []attack{
		{"idle connections", 10_000, s.idle, 400},
		{"WebSockets", 1_000, s.webSockets, 400},
		{"slow headers", 1_000, s.slowHeaders, 400},
		{"slow bodies", 500, s.slowBodies, 400},
		{"HTTP/2 rapid reset", 8, s.rapidReset, 400},
		{"flood of refusals", 32, s.refusals, 400},
	}
}

// phase runs the good load for a while, beside the attack.
func (s *soak) phase(t *testing.T, a attack) latencies {
	t.Helper()
	connections := max(a.size*s.percent/100, 2)
	if a.begin != nil {
		done := a.begin(t, connections)
		defer done()
		time.Sleep(s.length / 8) // what it costs to begin is not what it costs
	} else {
		connections = 0
	}
	got := s.goodLoad(t)
	resident := residentMebibytes(t, s.sidecar.cmd.Process.Pid)
	t.Logf("%-24s %6d connections  %5d good requests, %d failed  p50 %8v  p99 %8v  max %8v  %4d MiB",
		a.name, connections, got.n, got.failed, got.p50.Round(time.Microsecond),
		got.p99.Round(time.Microsecond), got.longest.Round(time.Microsecond), resident)
	if got.failed > 0 || got.n == 0 {
		t.Errorf("%s: %d of %d good requests failed: %v", a.name, got.failed, got.n, got.cause)
	}
	if resident > a.mebibytes {
		t.Errorf("%s: got %d MiB of memory, want at most %d", a.name, resident, a.mebibytes)
	}
	return got
}

// residentMebibytes returns how much memory the process has, 0 where that can't
// be told.
func residentMebibytes(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		lacking(t, "no /proc: how much memory a process has is not known here")
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatal("no VmRSS in /proc")
	}
	kibibytes, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatalf("VmRSS: %v", err)
	}
	return kibibytes >> 10
}
