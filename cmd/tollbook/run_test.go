package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"tollbook/audit"
	"tollbook/proxy/clerk/clerktest"
)

// call runs a command line with an environment and returns what it printed.
func call(t *testing.T, environ []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	err := run(t.Context(), args, environ, strings.NewReader(""), &out, &errOut)
	if err != nil {
		errOut.WriteString(err.Error())
	}
	return out.String(), errOut.String(), exitCode(err)
}

func TestDemoShowsTheMainJobAndLeavesNothingBehind(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	stdout, stderr, code := call(t, nil, "demo")
	if code != exitOK {
		t.Fatalf("got exit code %d, want 0\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{
		"201  job_id job_", "[" + demoUser + "]", "401  Not authenticated", "401  Token expired",
		"401  Invalid token signature", "1  request in all", "submit POST /jobs", "verified: ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("output lacks %q:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "FAIL") || strings.Contains(stdout, forgedUser) {
		t.Errorf("a step failed, or the forged user arrived:\n%s", stdout)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDemoFailsIfAStepIsNotAsItShouldBe(t *testing.T) {
	d := &demo{app: &app{stdout: &bytes.Buffer{}}}
	d.show("a step", http.StatusOK, "", true)
	if d.failed != 0 {
		t.Errorf("a good step: got %d failed, want 0", d.failed)
	}
	d.show("a step", http.StatusOK, "", false)
	if d.failed != 1 {
		t.Errorf("a bad step: got %d failed, want 1", d.failed)
	}
}

func TestAloneItPrintsHelp(t *testing.T) {
	stdout, _, code := call(t, nil)
	for _, want := range []string{"serve", "demo", "audit verify", "health", "version"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("help lacks %q:\n%s", want, stdout)
		}
	}
	if code != exitOK {
		t.Errorf("got exit code %d, want 0", code)
	}
}

func TestWrongUsageIsExitCode2(t *testing.T) {
	for _, args := range [][]string{{"nosuch"}, {"serve", "--nosuch"}, {"audit"}, {"serve", "extra"}} {
		if _, stderr, code := call(t, nil, args...); code != exitUsage || stderr == "" {
			t.Errorf("%v: got exit code %d and %q, want 2 and a message", args, code, stderr)
		}
	}
}

func TestServeRefusesToStartWithoutSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	_, stderr, code := call(t, nil, "serve")
	if code != exitUsage {
		t.Errorf("got exit code %d, want 2", code)
	}
	for _, want := range []string{"CLERK_ISSUER", "TOLLBOOK_UPSTREAM_URL", ".env.local"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("message lacks %q:\n%s", want, stderr)
		}
	}
}

// TestServeRefusesCertificatesThatItCannotUse names files that are not there, and
// one without a certificate. Nothing of such a start is in a trail.
func TestServeRefusesCertificatesThatItCannotUse(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("empty.pem", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ set, want string }{
		{
			"TOLLBOOK_TLS_CERT_FILE=empty.pem TOLLBOOK_TLS_KEY_FILE=nosuch.key",
			"configuration: TOLLBOOK_TLS_CERT_FILE, TOLLBOOK_TLS_KEY_FILE: certificate: " +
				"open nosuch.key: no such file or directory",
		},
		{
			"TOLLBOOK_TLS_CERT_FILE=empty.pem TOLLBOOK_TLS_KEY_FILE=empty.pem",
			"configuration: TOLLBOOK_TLS_CERT_FILE, TOLLBOOK_TLS_KEY_FILE: certificate: " +
				`"empty.pem": no certificate in PEM form`,
		},
		{
			"TOLLBOOK_UPSTREAM_URL=https://127.0.0.1:1 TOLLBOOK_UPSTREAM_CA_FILE=nosuch.pem",
			"configuration: TOLLBOOK_UPSTREAM_CA_FILE: upstream roots: " +
				"open nosuch.pem: no such file or directory",
		},
	} {
		_, stderr, code := call(t, with(strings.Fields(c.set)...), "serve")
		if code != exitUsage || !strings.HasSuffix(stderr, c.want) {
			t.Errorf("%s: got exit code %d and\n%s\nwant 2 and\n%s", c.set, code, stderr, c.want)
		}
	}
	if _, err := os.Stat("logs"); err == nil {
		t.Error("got a trail, want none")
	}
}

func TestServeSaysWhichFileItLoadedEvenWhenItRefusesToStart(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	path := filepath.Join(dir, ".env.local")
	if err := os.WriteFile(path, []byte("TOLLBOOK_NOSUCH=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := call(t, nil, "serve")
	if want := "Loaded environment variables from "; code != exitUsage || !strings.Contains(stderr, want) ||
		!strings.Contains(stderr, ".env.local") {
		t.Errorf("got exit code %d, want 2 and %q in\n%s", code, want, stderr)
	}
}

func TestVersionIsReadable(t *testing.T) {
	stdout, _, code := call(t, nil, "version", "--json")
	var v buildVersion
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || v.Go == "" || code != exitOK {
		t.Errorf("got %q, code %d, %v", stdout, code, err)
	}
	if text, _, _ := call(t, nil, "version"); !strings.HasPrefix(text, "tollbook "+v.Version) {
		t.Errorf("got %q, want it to begin with the version %q", text, v.Version)
	}
}

// newTrail writes a trail of one run and returns its folder.
func newTrail(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "audit")
	trail, err := audit.Open(audit.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAuditVerifyAnswersYesNoAndWhy(t *testing.T) {
	dir := newTrail(t)
	stdout, _, code := call(t, nil, "audit", "verify", dir)
	if code != exitOK || !strings.HasPrefix(stdout, "verified, self-attested") {
		t.Errorf("good trail: got exit code %d and %q", code, stdout)
	}
	// The folder of the setting, when none is given.
	if _, stderr, code := call(t, []string{"TOLLBOOK_AUDIT_DIR=" + dir}, "audit", "verify"); code != exitOK {
		t.Errorf("folder by setting: got exit code %d, %s", code, stderr)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("day files: %v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.Replace(data, []byte(`"reason":"start"`), []byte(`"reason":"stert"`), 1)
	if err := os.WriteFile(files[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _, code = call(t, nil, "audit", "verify", "--json", dir)
	var v verdict
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatal(err)
	}
	if code != exitNo || v.OK || v.Line != 3 || v.File != filepath.Base(files[0]) || v.Error == "" {
		t.Errorf("altered line 2: got exit code %d and %+v, want 1 and line 3 named", code, v)
	}
	if _, _, code := call(t, nil, "audit", "verify", t.TempDir()); code != exitNo {
		t.Errorf("empty folder: got exit code %d, want 1", code)
	}
}

// toServe is an environment that a sidecar starts in, and what more adds.
func toServe(t *testing.T, more ...string) []string {
	t.Helper()
	return slices.Concat([]string{
		"CLERK_ISSUER=" + testIssuer, "TOLLBOOK_UPSTREAM_URL=http://127.0.0.1:1",
		"CLERK_PEM_PUBLIC_KEY=" + clerktest.SharedKey("ins_test").PEM(),
		"TOLLBOOK_LISTEN_ADDR=127.0.0.1:0", "TOLLBOOK_ADMIN_ADDR=127.0.0.1:0",
		"TOLLBOOK_AUDIT_DIR=" + filepath.Join(t.TempDir(), "audit"),
	}, more)
}

// serving runs a sidecar in this process and returns it with what ends it. Nobody
// listens at its upstream unless more names another.
func serving(t *testing.T, more ...string) (s *sidecar, stop func() error) {
	t.Helper()
	cfg, _, _, err := loadConfig(toServe(t, more...), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	s, err = openSidecar(t.Context(), cfg, zap.NewNop(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx) }()
	var err2 error
	ended := false
	stop = func() error {
		if !ended {
			ended = true
			cancel()
			err2 = <-done
			err2 = errors.Join(err2, s.close())
		}
		return err2
	}
	t.Cleanup(func() { _ = stop() })
	return s, stop
}

func TestHealthFollowsReadiness(t *testing.T) {
	t.Parallel()
	s, stop := serving(t)
	environ := []string{"TOLLBOOK_ADMIN_ADDR=" + s.admin.Addr().String()}
	stdout, stderr, code := call(t, environ, "health")
	if code != exitOK || stdout != "ready\n" {
		t.Errorf("serving: got exit code %d, %q %q", code, stdout, stderr)
	}
	s.draining.Store(true)
	_, stderr, code = call(t, environ, "health")
	if code != exitNo || !strings.Contains(stderr, "draining: shutting down") {
		t.Errorf("draining: got exit code %d and %q, want 1 and the cause", code, stderr)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code = call(t, environ, "health"); code != exitNo || !strings.Contains(stderr, "not running") {
		t.Errorf("stopped: got exit code %d and %q, want 1 and the cause", code, stderr)
	}
}

func TestDrainingFinishesWhatIsInFlightAndTakesNoMore(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-answer
		w.WriteHeader(http.StatusCreated)
	}))
	defer upstream.Close()
	s, stop := serving(t, "TOLLBOOK_UPSTREAM_URL="+upstream.URL, "TOLLBOOK_DRAIN_TIMEOUT=1m")
	reply := make(chan int, 1)
	go func() {
		status, err := ask(t.Context(), "http://"+s.traffic.Addr().String()+"/jobs")
		if err != nil {
			t.Error(err)
		}
		reply <- status
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	untilDraining(t, s)
	close(answer)
	if status := <-reply; status != http.StatusCreated {
		t.Errorf("in flight: got %d, want 201", status)
	}
	if err := <-stopped; err != nil {
		t.Errorf("drain: got %v, want a clean end", err)
	}
	report, err := audit.Verify(t.Context(), s.cfg.Audit.Dir, audit.VerifyConfig{})
	if err != nil || len(report.Open) != 0 {
		t.Errorf("trail: got %v with %v open, want it verified and closed", err, report.Open)
	}
	last, err := lastRecords(s.cfg.Audit.Dir, 1)
	if err != nil || last[0].Reason != "stop" {
		t.Errorf("last record: got %+v, %v, want stop", last, err)
	}
}

func TestDrainingCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	arrived, never := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-never
	}))
	defer upstream.Close()
	defer close(never)
	s, stop := serving(t, "TOLLBOOK_UPSTREAM_URL="+upstream.URL, "TOLLBOOK_DRAIN_TIMEOUT=1ms")
	reply := make(chan int, 1)
	go func() {
		status, _ := ask(t.Context(), "http://"+s.traffic.Addr().String()+"/jobs")
		reply <- status
	}()
	<-arrived
	if err := stop(); err != nil {
		t.Errorf("drain: got %v, want a clean end", err)
	}
	if status := <-reply; status != http.StatusServiceUnavailable && status != 0 {
		t.Errorf("got %d, want 503 or a cut connection", status)
	}
	records, err := lastRecords(s.cfg.Audit.Dir, 2)
	if err != nil || records[0].Outcome != audit.Rejected || records[0].Reason != "draining" {
		t.Errorf("got %+v, %v, want a rejected request before the stop", records[0], err)
	}
}

// untilDraining asks until /readyz says no.
func untilDraining(t *testing.T, s *sidecar) {
	t.Helper()
	ready := "http://" + s.admin.Addr().String() + "/readyz"
	for status := 0; status != http.StatusServiceUnavailable; {
		var err error
		if status, err = ask(t.Context(), ready); err != nil {
			t.Fatal(err)
		}
	}
}

// ask sends a GET with a good token and returns the status.
func ask(ctx context.Context, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	claims := clerktest.SessionClaims(testIssuer, "user_test", time.Now())
	req.Header.Set("Authorization", "Bearer "+clerktest.SharedKey("ins_test").Sign(claims))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

func TestATrailThatFailsForGoodEndsTheProcess(t *testing.T) {
	t.Parallel()
	s, stop := serving(t, "TOLLBOOK_DRAIN_TIMEOUT=1s")
	failTrail(t, s)
	err := stop()
	if err == nil || exitCode(err) != exitNo || strings.Count(err.Error(), "removed") != 1 {
		t.Errorf("got %v with exit code %d, want the cause once and 1", err, exitCode(err))
	}
}

func TestADrainDelayEndsWithWhatEndsServing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		fail       func(*testing.T, *sidecar)
	}{
		{"the trail fails for good", "removed", failTrail},
		{"the listener breaks", "accept tcp", func(t *testing.T, s *sidecar) {
			t.Helper()
			if err := s.traffic.Close(); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, stop := serving(t, "TOLLBOOK_DRAIN_DELAY=10m", "TOLLBOOK_DRAIN_TIMEOUT=1s")
			stopped := make(chan error, 1)
			go func() { stopped <- stop() }()
			untilDraining(t, s)
			c.fail(t, s)
			if err := <-stopped; err == nil || strings.Count(err.Error(), c.want) != 1 {
				t.Errorf("got %v, want %q once", err, c.want)
			}
		})
	}
}

// failTrail makes the trail of s fail for good, and waits until it has.
func failTrail(t *testing.T, s *sidecar) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.cfg.Audit.Dir, "*.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("day files: %v, %v", files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.trail.Record(t.Context(), "fault", nil); err == nil {
		t.Fatal("a record was written into a file that is gone")
	}
	<-s.trail.Failed()
}

func TestASocketLeftByADeadRunIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen(t.Context(), "unix", path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a live socket: got %v, want that it is in use", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatalf("a dead socket: got %v, want it replaced", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(t.Context(), "unix", path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a plain file: got %v, want a refusal", err)
	}
}

func TestDialableIsWhereAWildcardListens(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		":9090": "localhost:9090", "0.0.0.0:9090": "localhost:9090", "[::]:1": "localhost:1",
		"127.0.0.1:9090": "127.0.0.1:9090", "admin:80": "admin:80",
	} {
		if got := dialable(addr); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
}

func TestWhatLibrariesQuoteIsNotLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	said := "Unsolicited response received on idle HTTP channel starting with \"a token\"; err=<nil>\n"
	n, err := standardLog{newLogger(&out, zap.WarnLevel)}.Write([]byte(said))
	if n != len(said) || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if strings.Contains(out.String(), "token") || !strings.Contains(out.String(), "Unsolicited response") {
		t.Errorf("got %q, want the message without what it quotes", out.String())
	}
}
