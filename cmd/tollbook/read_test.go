package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

// A testTrail is a log that a test writes, at times of its own.
type testTrail struct {
	t   *testing.T
	log *audit.Log
	mu  sync.Mutex
	now time.Time
}

func openTrail(t *testing.T, dir string) *testTrail {
	t.Helper()
	tr := &testTrail{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	tr.log, err = audit.Open(audit.Config{Dir: dir, Now: tr.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.log.Close() })
	return tr
}

func (tr *testTrail) clock() time.Time {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.now
}

func (tr *testTrail) add(d time.Duration) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.now = tr.now.Add(d)
}

// request records a request and that it went well.
func (tr *testTrail) request(user, job, path string) {
	tr.t.Helper()
	x, err := tr.log.Begin(tr.t.Context(), &audit.Record{
		EventType: "status", UserID: user, JobID: job, Method: "GET", Path: path, RequestID: "r",
	})
	if err != nil {
		tr.t.Fatal(err)
	}
	if err := x.End(audit.Result{Outcome: audit.OK, HTTPStatus: 200}); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *testTrail) close() {
	tr.t.Helper()
	if err := tr.log.Close(); err != nil {
		tr.t.Fatal(err)
	}
}

// The texts that a test trail holds beside ordinary ones: an escape sequence, line
// breaks, a right-to-left override, bytes that are no UTF-8, what looks like more
// columns.
const hostile = "\x1b[2J\r\n\u202e\xff\u009b alice 200"

// twoDays writes a trail of two days with ordinary and hostile records.
func twoDays(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "audit")
	tr := openTrail(t, dir)
	tr.request("user_1", "job_1", "/jobs/job_1")
	tr.add(24 * time.Hour)
	tr.request("user_2", "=1+1", "/jobs/%3D1%2B1")
	tr.request(hostile, "-", "/\x1b[2J")
	tr.close()
	return dir
}

// onDisk returns all lines of a log.
func onDisk(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "audit_*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	var all []byte
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	return string(all)
}

// linesWith returns the lines that hold each of the words.
func linesWith(lines string, words ...string) string {
	var with strings.Builder
	for line := range strings.Lines(lines) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			with.WriteString(line)
		}
	}
	return with.String()
}

func TestAuditQueryPrintsTheLinesAsTheyAreOnDisk(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	all := onDisk(t, dir)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, all},
		{[]string{"--user", "user_1"}, linesWith(all, `"user_id":"user_1"`)},
		{[]string{"--user", hostile}, linesWith(all, `"user_id_b64"`)},
		{[]string{"--job", "=1+1"}, linesWith(all, `"job_id":"=1+1"`)},
		{[]string{"--event", "system"}, linesWith(all, `"event_type":"system"`)},
		{[]string{"--phase", "completed"}, linesWith(all, `"phase":"completed"`)},
		{[]string{"--outcome", "ok", "--user", "user_2"}, linesWith(all, `"outcome":"ok"`, "user_2")},
		{[]string{"--to", "2026-03-01"}, linesWith(all, `{"timestamp":"2026-03-01`)},
		{[]string{"--from", "2026-03-02"}, linesWith(all, `{"timestamp":"2026-03-02`)},
		{[]string{"--from", "2026-03-01", "--to", "2026-03-02"}, all},
		{[]string{"--to", "2026-03-02T12:00:00Z"}, linesWith(all, `{"timestamp":"2026-03-01`)},
		{[]string{"--from", "2026-03-02T13:00:00+01:00"}, linesWith(all, `{"timestamp":"2026-03-02`)},
	} {
		if c.want == "" {
			t.Fatalf("%v: nothing to find", c.args)
		}
		stdout, stderr, code := call(t, nil, append([]string{"audit", "query", "--json", dir}, c.args...)...)
		if code != exitOK || stdout != c.want || stderr != "" {
			t.Errorf("%v: got exit code %d, %q and\n%s\nwant\n%s", c.args, code, stderr, stdout, c.want)
		}
	}
	stdout, _, code := call(t, []string{"TOLLBOOK_AUDIT_DIR=" + dir}, "audit", "query", "--json")
	if code != exitOK || stdout != all {
		t.Errorf("the folder of the setting: got exit code %d and\n%s", code, stdout)
	}
}

func TestAuditQueryIsForPeopleAndDrivesNoTerminal(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	stdout, _, code := call(t, nil, "audit", "query", dir)
	if code != exitOK || strings.Count(stdout, "\n") != strings.Count(onDisk(t, dir), "\n") {
		t.Errorf("got exit code %d and other than one line a record:\n%s", code, stdout)
	}
	for _, r := range stdout {
		if r != '\n' && (r < ' ' || r > '~') {
			t.Errorf("got %q on the terminal", r)
		}
	}
	want := "2026-03-01 12:00:00      4 completed   200 user_1                           status job_1 GET /jobs/job_1\n"
	if !strings.Contains(stdout, want) {
		t.Errorf("got\n%s\nwant a line\n%s", stdout, want)
	}
	if !strings.Contains(stdout, `"\x1b[2J\r\n\u202e\xff\u009b alice 200"`) {
		t.Errorf("got\n%s\nwant the hostile id quoted", stdout)
	}
}

func TestAuditQueryThatFindsNothingSaysSo(t *testing.T) {
	t.Parallel()
	for _, more := range [][]string{nil, {"--json"}} {
		args := append([]string{"audit", "query", twoDays(t), "--user", "nobody"}, more...)
		stdout, stderr, code := call(t, nil, args...)
		if code != exitOK || stdout != "" || stderr != "no record matches\n" {
			t.Errorf("%v: got exit code %d, %q and %q", more, code, stdout, stderr)
		}
	}
}

func TestAWrongFilterIsExitCode2AndSaysWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"--phase", "done"}, []string{`"done"`, "received, completed, interrupted, refused, system"}},
		{[]string{"--outcome", "OK"}, []string{`"OK"`, "ok, not_forwarded, upstream_error, timeout, client_aborted, rejected"}},
		{[]string{"--from", "yesterday"}, []string{`--from "yesterday"`, "2026-11-23"}},
		{[]string{"--to", "2026-13-01"}, []string{`--to "2026-13-01"`, "2026-11-23T09:30:00Z"}},
		{[]string{"--to", "2026-11-23T09:30:00"}, []string{"--to"}},
		{[]string{"--from", "2026-03-02", "--to", "2026-03-01"}, []string{"--from 2026-03-02 is not before"}},
		{[]string{"--user", ""}, []string{"--user is empty"}},
		{[]string{"--job", "", "--event", "", "--from", ""}, []string{"--job is", "--event is", "--from is"}},
	} {
		for _, command := range []string{"query", "export"} {
			stdout, stderr, code := call(t, nil, append([]string{"audit", command, dir}, c.args...)...)
			if code != exitUsage || stdout != "" {
				t.Errorf("%s %v: got exit code %d and %q, want 2 and nothing", command, c.args, code, stdout)
			}
			for _, want := range c.words {
				if !strings.Contains(stderr, want) {
					t.Errorf("%s %v: got %q, want it to say %q", command, c.args, stderr, want)
				}
			}
		}
	}
}

func TestReadingNoTrailIsExitCode1(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"query", "export", "tail"} {
		_, stderr, code := call(t, nil, "audit", command, t.TempDir())
		if code != exitNo || !strings.Contains(stderr, "no day files") {
			t.Errorf("%s of an empty folder: got exit code %d and %q", command, code, stderr)
		}
		_, stderr, code = call(t, nil, "audit", command, filepath.Join(t.TempDir(), "gone"))
		if code != exitNo || !strings.Contains(stderr, "gone") {
			t.Errorf("%s of no folder: got exit code %d and %q", command, code, stderr)
		}
		_, stderr, code = call(t, []string{"TOLLBOOK_NOSUCH=1"}, "audit", command, "--env-file", "nosuch")
		if code != exitUsage || !strings.Contains(stderr, "nosuch") {
			t.Errorf("%s with a wrong settings file: got exit code %d and %q", command, code, stderr)
		}
	}
}

// damage makes the third line of a log's first file no record, and returns what
// is before it.
func damage(t *testing.T, dir string) (before string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "audit_*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	name := slices.Min(files)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	before = lines[0] + lines[1]
	lines[2] = "damaged\n"
	if err := os.WriteFile(name, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return before
}

func TestADamagedLineIsExitCode1AndNamed(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	before := damage(t, dir)
	stdout, stderr, code := call(t, nil, "audit", "query", "--json", dir)
	if code != exitNo || stdout != before || !strings.Contains(stderr, "audit_20260301.jsonl: line 3 ") {
		t.Errorf("got exit code %d, %q and %q, want 1, what is before it, and its place", code, stdout, stderr)
	}
	_, stderr, code = call(t, nil, "audit", "query", dir, "--user", "nobody")
	if code != exitNo || strings.Contains(stderr, "no record matches") {
		t.Errorf("nothing found before it: got exit code %d and %q", code, stderr)
	}
}

// twoLogs writes a folder of logs.
func twoLogs(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, pod := range []string{"api-0", "api-1"} {
		tr := openTrail(t, filepath.Join(dir, pod))
		tr.request("user_"+pod, "", "/")
		tr.close()
	}
	return dir
}

func TestAuditQueryOfAFolderOfLogsNamesTheLog(t *testing.T) {
	t.Parallel()
	dir := twoLogs(t)
	stdout, _, code := call(t, nil, "audit", "query", dir, "--phase", "completed")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitOK || len(lines) != 2 || !strings.HasPrefix(lines[0], "api-0 2026-03-01 ") ||
		!strings.HasPrefix(lines[1], "api-1 2026-03-01 ") {
		t.Errorf("got exit code %d and\n%s", code, stdout)
	}
	stdout, _, _ = call(t, nil, "audit", "query", "--json", dir)
	if want := onDisk(t, filepath.Join(dir, "api-0")) + onDisk(t, filepath.Join(dir, "api-1")); stdout != want {
		t.Errorf("--json: got\n%s\nwant\n%s", stdout, want)
	}
}

// A brokenWriter takes so many bytes and no more.
type brokenWriter struct{ left int }

var errBroken = errors.New("broken")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestOutputThatCanNotBeWrittenIsExitCode1(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	for _, args := range [][]string{
		{"query"}, {"query", "--json"}, {"export"}, {"export", "--format", "csv"}, {"tail", "--no-follow"},
	} {
		var stderr strings.Builder
		args = append([]string{"audit"}, append(args, dir)...)
		err := run(t.Context(), args, nil, nil, &brokenWriter{left: 10}, &stderr)
		if !errors.Is(err, errBroken) || exitCode(err) != exitNo {
			t.Errorf("%v: got %v with exit code %d, want the writer's error and 1", args, err, exitCode(err))
		}
	}
}
