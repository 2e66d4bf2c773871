package main_test

import (
	"context"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// buildTollbook builds the program as its users run it and returns its path.
func buildTollbook(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tollbook")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building tollbook: %v\n%s", err, out)
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
	proxy, admin := freeAddr(t), freeAddr(t)
	environ := map[string]string{
		"TOLLBOOK_UPSTREAM_URL": upstream,
		"TOLLBOOK_LISTEN_ADDR":  proxy,
		"TOLLBOOK_ADMIN_ADDR":   admin,
		"TOLLBOOK_AUDIT_DIR":    trail,
	}
	maps.Copy(environ, settings)
	// Not the test's context: it ends before the clean-up, and what ends the
	// program must be the test.
	cmd := exec.CommandContext(context.Background(), binary, "serve")
	for name, value := range environ {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	s := &sidecar{startProcess(t, cmd), "http://" + proxy, "http://" + admin}
	s.waitUntilOK(t, s.admin+"/readyz")
	return s
}

// verifyTrail holds `tollbook audit verify` to exit code 0 for the folder.
func verifyTrail(t *testing.T, binary, trail string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "audit", "verify", trail)
	cmd.Env, cmd.Dir = []string{}, t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("audit verify: got %v, want exit code 0\n%s", err, out)
	}
	t.Logf("audit verify: %s", strings.TrimSpace(string(out)))
}
