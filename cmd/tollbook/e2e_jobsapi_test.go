package main_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// installTools is what somebody who lacks the tools is told.
const installTools = "install them, on Debian: " +
	"apt-get install curl python3-fastapi uvicorn python3-multipart"

// requireTools returns a Python that can run the FastAPI example, and makes
// sure that curl and tail are there. Without them the test is skipped, unless
// TOLLBOOK_TEST_REQUIRE=all says that every test must run.
func requireTools(t *testing.T) (python string) {
	t.Helper()
	for _, name := range []string{"curl", "tail"} {
		if _, err := exec.LookPath(name); err != nil {
			lacking(t, name+" is not on PATH: "+installTools)
		}
	}
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		probe := exec.CommandContext(t.Context(), python,
			"-c", "import fastapi, uvicorn, multipart")
		if probe.Run() == nil {
			return python
		}
	}
	lacking(t, "no python3 imports fastapi, uvicorn and multipart: "+installTools)
	return ""
}

// lacking skips the test for want of a tool, or fails it where none may skip.
func lacking(t *testing.T, why string) {
	t.Helper()
	if slices.Contains(os.Environ(), "TOLLBOOK_TEST_REQUIRE=all") {
		t.Fatal(why)
	}
	t.Skip("SKIPPED, NOT PROVED: " + why)
}

// startJobsAPI runs the FastAPI example under uvicorn and returns its URL.
func startJobsAPI(t *testing.T, python string) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("..", "..", "deploy", "examples", "fastapi"))
	if err != nil {
		t.Fatalf("finding the example: %v", err)
	}
	addr := freeAddr(t)
	// Not the test's context: see startSidecar.
	cmd := exec.CommandContext(context.Background(), python, "-m", "uvicorn",
		"--app-dir", folder, "--no-access-log",
		"--host", "127.0.0.1", "--port", portOf(t, addr), "app:app")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	p := startProcess(t, cmd)
	url := "http://" + addr
	p.waitUntilOK(t, url+"/")
	return url
}
