package audit_test

import (
	"bytes"
	"context"
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

// A clock stands still until a test moves it. Safe for concurrent use.
type clock struct {
	mu   sync.Mutex
	now  time.Time
	mono time.Duration // moves with now, unless now is set
}

func newClock(at string) *clock {
	now, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return &clock{now: now}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.mono += d
}

// Set moves the clock as an operator does, without time passing.
func (c *clock) Set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

func (c *clock) Monotonic() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

const noon = "2026-03-01T12:00:00Z"

// A trail is a log under test, with its clock and its ticks in the test's hand.
type trail struct {
	*audit.Log
	t     *testing.T
	clock *clock
	ticks chan time.Time
}

// start opens the log in dir; the test closes it, or t.Cleanup does.
func start(t *testing.T, dir string, change ...func(*audit.Config)) *trail {
	t.Helper()
	tr, err := open(t, dir, change...)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return tr
}

func open(t *testing.T, dir string, change ...func(*audit.Config)) (*trail, error) {
	t.Helper()
	tr := &trail{t: t, clock: newClock(noon), ticks: make(chan time.Time)}
	cfg := audit.WithTicks(audit.Config{Dir: dir, MaxWait: time.Minute}, tr.ticks)
	at(tr.clock)(&cfg)
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if tr.Log, err = audit.Open(cfg); err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = tr.Close() })
	return tr, nil
}

func at(c *clock) func(*audit.Config) {
	return func(cfg *audit.Config) {
		cfg.Now = c.Now
		*cfg = audit.WithMonotonic(*cfg, c.Monotonic)
	}
}

func maxWait(d time.Duration) func(*audit.Config) {
	return func(cfg *audit.Config) { cfg.MaxWait = d }
}

func inOS(cfg *audit.Config) { cfg.Durability = audit.OS }

// tick makes the writer do what is due once a second, and returns when that is
// done: the second tick is taken after the first has been dealt with.
func (tr *trail) tick() {
	tr.ticks <- time.Time{}
	tr.ticks <- time.Time{}
}

func request(id string) *audit.Record {
	return &audit.Record{
		EventType: "status", UserID: "user_1", UserEmail: "a@example.com", RequestID: id,
		Method: "GET", Path: "/jobs/" + id, IPAddress: "192.0.2.1",
	}
}

func (tr *trail) begin(id string) *audit.Exchange {
	tr.t.Helper()
	x, err := tr.Begin(context.Background(), request(id))
	if err != nil {
		tr.t.Fatalf("Begin %s: %v", id, err)
	}
	return x
}

func (tr *trail) end(x *audit.Exchange) {
	tr.t.Helper()
	if err := x.End(audit.Result{Outcome: audit.OK, HTTPStatus: 200}); err != nil {
		tr.t.Fatalf("End: %v", err)
	}
}

func (tr *trail) stop() {
	tr.t.Helper()
	if err := tr.Close(); err != nil {
		tr.t.Fatalf("Close: %v", err)
	}
}

// dayFiles returns the paths of the folder's day files, oldest first.
func dayFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "audit_????????.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func newest(t *testing.T, dir string) string {
	t.Helper()
	files := dayFiles(t, dir)
	if len(files) == 0 {
		t.Fatalf("no day files in %s", dir)
	}
	return files[len(files)-1]
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// records parses every whole line of the folder, in order.
func records(t *testing.T, dir string) []*audit.Record {
	t.Helper()
	var all []*audit.Record
	for _, name := range dayFiles(t, dir) {
		for line := range bytes.Lines(read(t, name)) {
			r, err := audit.Parse(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				t.Fatalf("%s: %v", filepath.Base(name), err)
			}
			all = append(all, r)
		}
	}
	return all
}

// where returns the records that match.
func where(all []*audit.Record, match func(*audit.Record) bool) []*audit.Record {
	var some []*audit.Record
	for _, r := range all {
		if match(r) {
			some = append(some, r)
		}
	}
	return some
}

func phase(p audit.Phase) func(*audit.Record) bool {
	return func(r *audit.Record) bool { return r.Phase == p }
}

func reason(s string) func(*audit.Record) bool {
	return func(r *audit.Record) bool { return r.Reason == s }
}

// verify fails the test unless the trail in dir is good.
func verify(t *testing.T, dir string) *audit.Report {
	t.Helper()
	report, err := audit.Verify(context.Background(), dir, audit.VerifyConfig{})
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return report
}

// copyDir copies a folder as a kill of its writer leaves it.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for name := range contents(t, to) {
		if err := os.Chmod(filepath.Join(to, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(to, 0o700); err != nil {
		t.Fatal(err)
	}
	return to
}

// contents maps the names of a folder to what the files hold.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, e := range entries {
		all[e.Name()] = string(read(t, filepath.Join(dir, e.Name())))
	}
	return all
}

// refused fails the test unless err is there and says each of the words.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one that says %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got error %q, want it to say %q", err, w)
		}
	}
}

func unavailable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got error %v, want one that wraps ErrUnavailable", err)
	}
}
