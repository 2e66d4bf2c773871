package main_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tollbook/proxy/clerk/clerktest"
)

// runTests runs the tests with a folder for the program to be built in.
func runTests(m *testing.M) {
	folder, err := os.MkdirTemp("", "tollbook-built-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	built = sync.OnceValues(func() (string, error) { return build(folder) })
	m.Run()
}

// built builds the program once and returns its path.
var built func() (string, error)

// build builds the program as its users run it.
func build(folder string) (string, error) {
	binary := filepath.Join(folder, "tollbook")
	// Not a test's context: the program is all tests'.
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tollbook: %w\n%s", err, out)
	}
	return binary, nil
}

// buildTollbook returns the path of the built program.
func buildTollbook(t *testing.T) string {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// sidecar is a running `tollbook serve`.
type sidecar struct {
	*process
	url   string // of the proxy, no trailing slash
	admin string // of the operator's listener, no trailing slash
}

// startSidecar starts `tollbook serve` and returns once it is ready. Its
// environment is nothing but its own two addresses, upstream (a URL), trail (a
// folder) and what settings adds.
func startSidecar(
	t *testing.T, binary, upstream, trail string, settings map[string]string,
) *sidecar {
	t.Helper()
	s := newLaunch(t, binary, upstream, trail, settings).start(t)
	s.waitUntilOK(t, s.admin+"/readyz")
	return s
}

// A launch says how to start `tollbook serve`: twice means twice the same, on
// the same addresses.
type launch struct {
	command  []string // the binary and its arguments, behind what runs them
	proxy    string   // host:port
	admin    string   // host:port
	settings map[string]string
}

func newLaunch(
	t *testing.T, binary, upstream, trail string, settings map[string]string,
) launch {
	t.Helper()
	l := launch{[]string{binary, "serve"}, freeAddr(t), freeAddr(t), map[string]string{
		"TOLLBOOK_UPSTREAM_URL": upstream,
		"TOLLBOOK_AUDIT_DIR":    trail,
	}}
	l.settings["TOLLBOOK_LISTEN_ADDR"], l.settings["TOLLBOOK_ADMIN_ADDR"] = l.proxy, l.admin
	maps.Copy(l.settings, settings)
	return l
}

// start starts the program and returns at once.
func (l launch) start(t *testing.T) *sidecar {
	t.Helper()
	// Not the test's context: it ends before the clean-up, and what ends the
	// program must be the test.
	//nolint:gosec // G204: the command is the tests' own
	cmd := exec.CommandContext(context.Background(), l.command[0], l.command[1:]...)
	for name, value := range l.settings {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return &sidecar{startProcess(t, cmd), "http://" + l.proxy, "http://" + l.admin}
}

// trusting returns the settings of a sidecar that trusts the key and fetches
// nothing.
func trusting(key *clerktest.Key) map[string]string {
	return map[string]string{"CLERK_ISSUER": issuer, "CLERK_PEM_PUBLIC_KEY": key.PEM()}
}

// verifyTrail holds `tollbook audit verify` to exit code 0 for the folder.
func verifyTrail(t *testing.T, binary, trail string) {
	t.Helper()
	t.Logf("audit verify: %s", strings.TrimSpace(wantVerified(t, binary, trail)))
}

// wantVerified is verifyTrail without a word in the log: it returns the verdict.
func wantVerified(t *testing.T, binary, trail string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "audit", "verify", trail)
	cmd.Env, cmd.Dir = []string{}, t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("audit verify: got %v, want exit code 0\n%s", err, out)
	}
	return string(out)
}
