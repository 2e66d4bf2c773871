package main_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// installStrace is what somebody who lacks it is told.
const installStrace = "needs strace and the permission to trace " +
	"(on Debian: apt-get install strace; in a container: --cap-add SYS_PTRACE)"

// requireStrace skips the test where programs can't be traced.
func requireStrace(t *testing.T) {
	t.Helper()
	probe := exec.CommandContext(t.Context(), "strace",
		"-D", "-f", "-yy", "--seccomp-bpf", "-e", "trace=fsync", "true")
	if out, err := probe.CombinedOutput(); err != nil {
		lacking(t, installStrace+": "+err.Error()+" "+string(out))
	}
}

// traced returns a launch of the same program under strace, and the file that
// the trace is written to: it is whole once the process has exited. args are
// strace's own.
func (l launch) traced(t *testing.T, args ...string) (_ launch, trace string) {
	t.Helper()
	trace = filepath.Join(t.TempDir(), "trace")
	// -D: the program stays the test's own child, and strace ends with it.
	strace := []string{"strace", "-D", "-f", "-yy", "--seccomp-bpf", "-o", trace}
	l.command = slices.Concat(strace, args, l.command)
	return l, trace
}

// attach traces the running program from now on, until strace is told to end or
// the program has. args are strace's own.
func (p *process) attach(t *testing.T, args ...string) *process {
	t.Helper()
	args = append([]string{"-f", "-o", os.DevNull, "-p", strconv.Itoa(p.cmd.Process.Pid)}, args...)
	strace := startProcess(t, exec.CommandContext(context.Background(), "strace", args...))
	eventually(t, "strace has attached", func() error {
		if out := strace.output.String(); !strings.Contains(out, " attached") {
			return fmt.Errorf("strace says %q", out)
		}
		return nil
	})
	return strace
}

// A call is a system call as strace saw it. begun and ended are lines of the
// trace: what has a smaller number came before.
type call struct {
	name         string // fsync, write, …
	text         string // all that follows the name
	path         string // of its first argument, a descriptor; "" if it is none
	ok           bool
	injected     bool // it was not made, but failed as strace was told
	begun, ended int
}

var (
	// PID name(…, or PID <... name resumed>…
	callLine    = regexp.MustCompile(`^(\d+) +(\w+)(\(.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)$`)
	firstPath   = regexp.MustCompile(`^\(\d+<(TCP:\[[^]]*]|[^>]*)>`)
	resultOf    = regexp.MustCompile(`^.* = (\d\S*)`)
)

// readCalls returns the calls of a trace in the order in which they ended.
func readCalls(t *testing.T, trace string) []call {
	t.Helper()
	file, err := os.Open(trace)
	if err != nil {
		t.Fatalf("reading the trace: %v", err)
	}
	defer file.Close()
	var calls []call
	unfinished := map[string]call{} // by thread
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		thread, c, found := parseCall(lines.Text(), n, unfinished)
		if !found {
			continue // a signal, an exit
		}
		if text, cut := strings.CutSuffix(c.text, " <unfinished ...>"); cut {
			c.text = text
			unfinished[thread] = c
			continue
		}
		calls = append(calls, c.finished(n))
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("reading the trace: %v", err)
	}
	return calls
}

// parseCall reads line n, which may be the second half of an unfinished call.
func parseCall(line string, n int, unfinished map[string]call) (thread string, c call, found bool) {
	if m := callLine.FindStringSubmatch(line); m != nil {
		return m[1], call{name: m[2], text: m[3], begun: n}, true
	}
	m := resumedLine.FindStringSubmatch(line)
	if m == nil {
		return "", call{}, false
	}
	c = unfinished[m[1]]
	c.text += m[3]
	return m[1], c, true
}

func (c call) finished(n int) call {
	c.ended, c.injected = n, strings.Contains(c.text, "(INJECTED)")
	if m := firstPath.FindStringSubmatch(c.text); m != nil {
		c.path = m[1]
	}
	c.ok = resultOf.MatchString(c.text)
	return c
}
