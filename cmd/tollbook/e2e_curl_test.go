package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// reply is what curl received.
type reply struct {
	status int
	header http.Header
	body   string
}

// curl runs curl with args, free of the caller's settings and proxies, and
// returns the final reply.
func curl(t *testing.T, args ...string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	body := filepath.Join(t.TempDir(), "body")
	//nolint:gosec // G204: the arguments are the tests' own
	cmd := exec.CommandContext(ctx, "curl", append([]string{
		"--disable", "--silent", "--show-error", "--output", body,
		"--write-out", `{"status":%{http_code},"header":%{header_json}}`,
	}, args...)...)
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl: %v\n%s", err, stderrOf(err))
	}
	return parseReply(t, out, body)
}

// parseReply reads what curl wrote of the reply and the file with its body.
func parseReply(t *testing.T, written []byte, bodyFile string) reply {
	t.Helper()
	var head struct {
		Status int                 `json:"status"`
		Header map[string][]string `json:"header"`
	}
	if err := json.Unmarshal(written, &head); err != nil {
		t.Fatalf("curl wrote %q: %v", written, err)
	}
	body, err := os.ReadFile(bodyFile)
	if err != nil && !os.IsNotExist(err) { // no file: no body
		t.Fatalf("reading curl's output: %v", err)
	}
	r := reply{status: head.Status, header: http.Header{}, body: string(body)}
	for name, values := range head.Header {
		r.header[http.CanonicalHeaderKey(name)] = values
	}
	return r
}

// stderrOf returns what the failed program wrote on its standard error.
func stderrOf(err error) []byte {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.Stderr
	}
	return nil
}

// bearer returns curl's arguments that send token, none for the empty token.
func bearer(token string) []string {
	if token == "" {
		return nil
	}
	return []string{"--header", "Authorization: Bearer " + token}
}

// portOf returns the port of a host:port.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("splitting %q: %v", addr, err)
	}
	return port
}
