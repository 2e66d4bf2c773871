package main_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tollbook/proxy/clerk/clerktest"
)

// metricTypes are the metrics that operators rely on, with their types: what the
// README's table lists.
var metricTypes = map[string]string{
	"tollbook_build_info":                    "gauge",
	"tollbook_requests_total":                "counter",
	"tollbook_request_duration_seconds":      "histogram",
	"tollbook_requests_in_flight":            "gauge",
	"tollbook_requests_in_flight_limit":      "gauge",
	"tollbook_requests_unparsed_total":       "counter",
	"tollbook_streams":                       "gauge",
	"tollbook_streams_limit":                 "gauge",
	"tollbook_refusals_total":                "counter",
	"tollbook_token_expired_late_seconds":    "histogram",
	"tollbook_upstream_duration_seconds":     "histogram",
	"tollbook_upstream_failures_total":       "counter",
	"tollbook_certificate_not_after_seconds": "gauge",
	"tollbook_audit_up":                      "gauge",
	"tollbook_audit_commit_duration_seconds": "histogram",
	"tollbook_audit_commit_records":          "histogram",
	"tollbook_audit_queue_records":           "gauge",
	"tollbook_audit_durable_seq":             "gauge",
	"tollbook_audit_free_bytes":              "gauge",
	"tollbook_keys":                          "gauge",
	"tollbook_jwks_fetches_total":            "counter",
	"tollbook_jwks_key_age_seconds":          "gauge",
}

// An exposition is what one scrape gave.
type exposition struct {
	text   string
	types  map[string]string  // by name
	values map[string]float64 // by series: `name{label="value"}`
}

// scrape asks the operator's listener as Prometheus does.
func (s *sidecar) scrape(t *testing.T) exposition {
	t.Helper()
	status, format, text := s.askAdmin(t, http.MethodGet, "/metrics")
	if status != http.StatusOK || !strings.HasPrefix(format, "text/plain; version=0.0.4") {
		t.Fatalf("/metrics: got %d %s, want 200 in Prometheus's text format", status, format)
	}
	return parseExposition(t, text)
}

// askAdmin sends a request to the operator's listener and returns the reply's
// status, Content-Type and body.
func (s *sidecar) askAdmin(t *testing.T, method, path string) (status int, format, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.admin+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := newClient(t).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(body)
}

func parseExposition(t *testing.T, text string) exposition {
	t.Helper()
	e := exposition{text, make(map[string]string), make(map[string]float64)}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if comment, is := strings.CutPrefix(line, "# TYPE "); is {
			name, kind, _ := strings.Cut(comment, " ")
			e.types[name] = kind
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			t.Fatalf("/metrics: %q has no value: %v", line, err)
		}
		e.values[line[:at]] = value
	}
	return e
}

// moved returns by how much a series grew since before; it must be in both.
func (e exposition) moved(t *testing.T, before exposition, series string) float64 {
	t.Helper()
	old, was := before.values[series]
	value, is := e.values[series]
	if !was || !is {
		t.Fatalf("%s: got no such series", series)
	}
	return value - old
}

// startScraped starts a sidecar that has every metric: it fetches its keys.
func startScraped(t *testing.T) (*bed, *sidecar) {
	t.Helper()
	b := newBed(t, buildTollbook(t))
	server := clerktest.NewServer(b.tokens.key)
	t.Cleanup(server.Close)
	delete(b.settings, "CLERK_PEM_PUBLIC_KEY")
	b.settings["CLERK_JWKS_URL"] = server.JWKSURL()
	return b, b.ready(t)
}

func TestMetricsAreOnTheOperatorsListenerOnly(t *testing.T) {
	t.Parallel()
	b, s := startScraped(t)
	got := s.scrape(t)
	for name := range got.types {
		if !strings.HasPrefix(name, "tollbook_") {
			delete(got.types, name) // of Go and of the process
		}
	}
	if !maps.Equal(got.types, metricTypes) {
		t.Errorf("got metrics\n%v\nwant\n%v", got.types, metricTypes)
	}
	for _, series := range []string{"go_goroutines", "process_open_fds"} {
		if got.values[series] <= 0 {
			t.Errorf("%s: got %v, want some", series, got.values[series])
		}
	}
	for path, status := range map[string]int{
		"/": 404, "/metrics/": 404, "/debug/pprof/": 404, "/jobs": 404, "/livez": 200,
	} {
		if got, _, _ := s.askAdmin(t, http.MethodGet, path); got != status {
			t.Errorf("%s on the operator's listener: got %d, want %d", path, got, status)
		}
	}
	if got, _, _ := s.askAdmin(t, http.MethodPost, "/metrics"); got != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: got %d, want 405", got)
	}
	for _, path := range []string{"/metrics", "/livez", "/readyz"} {
		if err := refusedOnce(t.Context(), newClient(t), s.url+path); err != nil {
			t.Errorf("%s on the traffic port, without a token: %v", path, err)
		}
	}
	if seen := b.up.requests(); seen != 0 {
		t.Errorf("the upstream saw %d requests, want none", seen)
	}
}

func TestMetricsFollowTheTrailAndTheKeys(t *testing.T) {
	t.Parallel()
	b, s := startScraped(t)
	before := s.scrape(t)
	const jobs = 5
	for range jobs {
		b.wantCreated(t)
	}
	// What is told of a commit comes after those who wait for it.
	eventually(t, "the metrics show both records of each job", func() error {
		after := s.scrape(t)
		seq := after.moved(t, before, "tollbook_audit_durable_seq")
		records := after.moved(t, before, "tollbook_audit_commit_records_sum")
		commits := after.moved(t, before, "tollbook_audit_commit_duration_seconds_count")
		if seq < 2*jobs || records != seq || commits < 1 || commits > records {
			return fmt.Errorf("seq grew by %v, by %v records in %v commits", seq, records, commits)
		}
		return nil
	})
	got := s.scrape(t).values
	for series, want := range map[string]float64{
		`tollbook_audit_up`:                           1,
		`tollbook_audit_queue_records`:                0,
		`tollbook_keys`:                               1,
		`tollbook_jwks_fetches_total{result="ok"}`:    1,
		`tollbook_jwks_fetches_total{result="error"}`: 0,
	} {
		if value, there := got[series]; !there || value != want {
			t.Errorf("%s: got %v (there: %t), want %v", series, value, there, want)
		}
	}
	if free := got["tollbook_audit_free_bytes"]; free < 1<<20 {
		t.Errorf("got %v bytes free, want what a test needs at least", free)
	}
	if age := got["tollbook_jwks_key_age_seconds"]; age <= 0 || age > patience.Seconds()*10 {
		t.Errorf("got keys that are %v s old, want them as old as the test", age)
	}
	s.terminate(t)
	b.judge(t)
}

// TestTheREADMEListsTheMetrics holds the README's table to the program's names
// and types.
func TestTheREADMEListsTheMetrics(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string)
	row := regexp.MustCompile("(?m)^\\| `(tollbook_[a-z_]+)` \\| ([a-z]+) \\|")
	for _, row := range row.FindAllSubmatch(readme, -1) {
		listed[string(row[1])] = string(row[2])
	}
	if !maps.Equal(listed, metricTypes) {
		t.Errorf("got in the README\n%v\nwant\n%v",
			slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(metricTypes)))
	}
}
