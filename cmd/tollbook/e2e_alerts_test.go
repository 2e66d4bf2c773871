package main_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// installPromtool is what somebody who lacks it is told.
const installPromtool = "promtool is not on PATH: install it, on Debian: apt-get install prometheus"

// alertFile returns a file of the alerts that operators load.
func alertFile(name string) string { return filepath.Join("..", "..", "deploy", "alerts", name) }

func readAlerts(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(alertFile(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// promtool runs it and wants exit code 0.
func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		lacking(t, installPromtool)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "promtool", args...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
}

func TestAlertsFireAndAreSilentAsTheirTestsSay(t *testing.T) {
	t.Parallel()
	promtool(t, nil, "check", "rules", alertFile("tollbook.rules.yaml"))
	promtool(t, nil, "test", "rules", alertFile("tollbook.rules_test.yaml"))
}

// TestEveryAlertIsTestedBothWaysAndExplained looks for what promtool does not
// miss: an alert without a test, or one that operators are not told of.
func TestEveryAlertIsTestedBothWaysAndExplained(t *testing.T) {
	t.Parallel()
	cases := regexp.MustCompile(`(?m)^ +alertname: (\w+)\n +exp_alerts:(.*)$`).
		FindAllStringSubmatch(readAlerts(t, "tollbook.rules_test.yaml"), -1)
	manual := readAlerts(t, filepath.Join("..", "README.md"))
	names := alertNames(t)
	for _, name := range names {
		for _, want := range []string{"", " []"} {
			if !slices.ContainsFunc(cases, func(c []string) bool { return c[1] == name && c[2] == want }) {
				t.Errorf("%s: got no test with exp_alerts:%s", name, want)
			}
		}
		if !strings.Contains(manual, "| "+name+" |") {
			t.Errorf("%s: got no row in deploy/README.md", name)
		}
	}
	if len(names) < 10 {
		t.Errorf("got %d alerts, want 10 at least: are they written otherwise?", len(names))
	}
}

func alertNames(t *testing.T) (names []string) {
	t.Helper()
	found := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).
		FindAllStringSubmatch(readAlerts(t, "tollbook.rules.yaml"), -1)
	for _, f := range found {
		names = append(names, f[1])
	}
	return names
}

// TestAlertsRestOnMetricsThatExist looks for the series of the alerts, and of
// their tests, in what a sidecar shows from the start.
func TestAlertsRestOnMetricsThatExist(t *testing.T) {
	t.Parallel()
	_, s := startScraped(t)
	got := s.scrape(t)
	metric := regexp.MustCompile(`\btollbook_[a-z_]+\b(\{[^}]*\})?`)
	label := regexp.MustCompile(`\b(reason|result|route|status)="([^"]+)"`)
	for _, file := range []string{"tollbook.rules.yaml", "tollbook.rules_test.yaml"} {
		for _, used := range metric.FindAllString(readAlerts(t, file), -1) {
			name, labels, _ := strings.Cut(used, "{")
			want := append([]string{name}, label.FindAllString(labels, -1)...)
			if !got.has(want) {
				t.Errorf("%s: got no series with %q in /metrics", file, want)
			}
		}
	}
	promtool(t, strings.NewReader(got.text), "check", "metrics")
}

// has reports whether there is a series with this name and these labels.
func (e exposition) has(nameAndLabels []string) bool {
	if _, family := e.types[nameAndLabels[0]]; family && len(nameAndLabels) == 1 {
		return true
	}
	for series := range e.values {
		name, _, _ := strings.Cut(series, "{")
		missing := func(label string) bool { return !strings.Contains(series, label) }
		if name == nameAndLabels[0] && !slices.ContainsFunc(nameAndLabels[1:], missing) {
			return true
		}
	}
	return false
}
