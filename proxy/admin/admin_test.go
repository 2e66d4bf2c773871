package admin_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"tollbook/proxy/admin"
)

// scraped answers /metrics.
var scraped = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "up 1\n")
})

// ask sends a request to a handler on a real listener and returns status and body.
func ask(t *testing.T, method, path string, checks ...admin.Check) (status int, body string) {
	t.Helper()
	server := httptest.NewServer(admin.Handler(scraped, checks...))
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	if res.StatusCode == http.StatusOK && res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", res.Header.Get("Cache-Control"))
	}
	return res.StatusCode, string(content)
}

func good() error { return nil }

func bad() error { return errors.New("no keys yet") }

func TestHealthTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	keys, trail := admin.Check{Name: "keys", Err: bad}, admin.Check{Name: "trail", Err: good}
	for name, test := range map[string]struct {
		method, path string
		checks       []admin.Check
		status       int
		body         string // "" is not looked at
	}{
		"alive":             {"GET", "/livez", nil, 200, `{"live":true}` + "\n"},
		"alive, not ready":  {"GET", "/livez", []admin.Check{keys}, 200, `{"live":true}` + "\n"},
		"nothing to check":  {"GET", "/readyz", nil, 200, `{"ready":true,"checks":{}}` + "\n"},
		"ready":             {"GET", "/readyz", []admin.Check{trail}, 200, `{"ready":true,"checks":{"trail":"ok"}}` + "\n"},
		"not ready":         {"GET", "/readyz", []admin.Check{keys, trail}, 503, `{"ready":false,"checks":{"keys":"no keys yet","trail":"ok"}}` + "\n"},
		"order is the same": {"GET", "/readyz", []admin.Check{trail, keys}, 503, `{"ready":false,"checks":{"keys":"no keys yet","trail":"ok"}}` + "\n"},
		"HEAD":              {"HEAD", "/readyz", []admin.Check{keys}, 503, ""},
		"POST":              {"POST", "/readyz", nil, 405, ""},
		"metrics":           {"GET", "/metrics", []admin.Check{keys}, 200, "up 1\n"},
		"metrics, HEAD":     {"HEAD", "/metrics", nil, 200, ""},
		"metrics, POST":     {"POST", "/metrics", nil, 405, ""},
		"metrics, DELETE":   {"DELETE", "/metrics", nil, 405, ""},
		"metrics, below":    {"GET", "/metrics/", nil, 404, ""},
		"root":              {"GET", "/", nil, 404, ""},
		"below":             {"GET", "/livez/x", nil, 404, ""},
		"traffic":           {"GET", "/jobs", nil, 404, ""},
		"pprof":             {"GET", "/debug/pprof/", nil, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, body := ask(t, test.method, test.path, test.checks...)
			if status != test.status || test.body != "" && body != test.body {
				t.Errorf("got %d %q, want %d %q", status, body, test.status, test.body)
			}
		})
	}
}

func TestWithoutMetricsThereIsNoSuchPath(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
	admin.Handler(nil).ServeHTTP(w, r)
	if w.Code != http.StatusNotFound {
		t.Errorf("got %d, want 404", w.Code)
	}
}
