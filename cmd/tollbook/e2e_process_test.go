package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is the longest that a test waits for anything that another process
// does. It only bounds a failure: nothing is measured against it.
const patience = 30 * time.Second

// process is a program that a test started. Its output is shown if the test
// fails, and it never outlives the test.
type process struct {
	cmd    *exec.Cmd
	output output
	exited chan struct{} // closed once the program has been waited for
}

// output collects what a program prints. It is safe for concurrent use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// startProcess starts cmd in an empty folder and takes it over.
func startProcess(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, exited: make(chan struct{})}
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", cmd.Path, err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // the tests judge ProcessState
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("output of %s:\n%s", filepath.Base(cmd.Path), p.output.String())
		}
	})
	return p
}

// kill ends the program as kill -9 does and returns once it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error says that it has ended by itself
	<-p.exited
}

// terminate sends SIGTERM and holds the program to an exit with code 0.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	p.wantExit(t, 0)
}

func (p *process) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("sending %v to %s: %v", signal, p.cmd.Path, err)
	}
}

// wantExit waits for the program's end and holds it to the exit code.
func (p *process) wantExit(t *testing.T, code int) {
	t.Helper()
	p.awaitExit(t)
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("got exit code %d (%v), want %d", got, p.cmd.ProcessState, code)
	}
}

// awaitExit returns once the program has ended.
func (p *process) awaitExit(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%s still runs after %v", p.cmd.Path, patience)
	}
}

// hasExited reports whether the program has ended.
func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// waitUntilOK returns once GET url answers 200.
func (p *process) waitUntilOK(t *testing.T, url string) {
	t.Helper()
	client := newClient(t)
	eventually(t, url+" answers 200", func() error {
		select {
		case <-p.exited:
			t.Fatalf("%s ended while starting: %v", p.cmd.Path, p.cmd.ProcessState)
		default:
		}
		return statusOK(t.Context(), client, url)
	})
}

// statusOK reports anything but a 200 for GET url as an error.
func statusOK(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// eventually asks again until done returns nil, and fails the test with the
// last answer when patience is at its end.
func eventually(t *testing.T, what string, done func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v until %s, last: %v", patience, what, err)
		case <-tick.C:
		}
	}
}

// newClient returns a client with its own connections, which are closed with
// the test.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: loadClients}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// lastPort is the port that was given out last. The range lies below the
// ephemeral ports of Linux and macOS, so that no client's connection takes a
// port between its choice and its use; the process id keeps test binaries apart.
var lastPort atomic.Int32

func init() { lastPort.Store(20000 + int32(os.Getpid()%90)*100) }

// freeAddr returns a loopback host:port that nothing listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(lastPort.Add(1))))
		var lc net.ListenConfig
		listener, err := lc.Listen(t.Context(), "tcp", addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			t.Fatalf("looking for a free port: %v", err)
		}
		if err := listener.Close(); err != nil {
			t.Fatalf("giving back %s: %v", addr, err)
		}
		return addr
	}
	t.Fatal("no free port on loopback")
	return ""
}
