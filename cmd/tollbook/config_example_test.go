package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/joho/godotenv"
)

const exampleFile = "../../config.example.env"

// exampleLine is a setting in the example, or one that is commented out. What is
// text has a space after the #.
var exampleLine = regexp.MustCompile(`(?m)^(#?)([A-Z][A-Z0-9_]*)=(.*)$`)

type exampleSetting struct {
	name, value string
	optional    bool
}

func readExample(t *testing.T) (text string, settings []exampleSetting) {
	t.Helper()
	data, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range exampleLine.FindAllStringSubmatch(string(data), -1) {
		settings = append(settings, exampleSetting{m[2], m[3], m[1] == "#"})
	}
	return string(data), settings
}

func TestExampleNamesEverySettingOnce(t *testing.T) {
	t.Parallel()
	_, example := readExample(t)
	seen := make(map[string]int)
	for _, e := range example {
		seen[e.name]++
	}
	for _, s := range settingsOf(new(config)) {
		for _, name := range s.names() {
			equal(t, name, seen[name], 1)
			delete(seen, name)
		}
	}
	equal(t, "names that are no setting", seen, map[string]int{})
}

func TestExampleShowsTheDefaults(t *testing.T) {
	t.Parallel()
	_, example := readExample(t)
	values := make(map[string]exampleSetting)
	for _, e := range example {
		values[e.name] = e
	}
	for _, s := range settingsOf(new(config)) {
		e := values[s.name]
		if s.def != "" {
			equal(t, s.name, e.value, s.def)
		}
		needed := s.name == "CLERK_ISSUER" || s.name == "TOLLBOOK_UPSTREAM_URL"
		equal(t, s.name+" commented out", e.optional, !needed)
	}
}

// exampleNeeds is what a line can't do without.
var exampleNeeds = map[string][]string{
	"TOLLBOOK_UPSTREAM_CA_FILE":   {httpsUpstream},
	"TOLLBOOK_UPSTREAM_CERT_FILE": {httpsUpstream, "TOLLBOOK_UPSTREAM_KEY_FILE=a"},
	"TOLLBOOK_UPSTREAM_KEY_FILE":  {httpsUpstream, "TOLLBOOK_UPSTREAM_CERT_FILE=a"},
	"TOLLBOOK_TLS_CERT_FILE":      {"TOLLBOOK_TLS_KEY_FILE=a"},
	"TOLLBOOK_TLS_KEY_FILE":       {"TOLLBOOK_TLS_CERT_FILE=a"},
	"TOLLBOOK_TOKEN_COOKIE":       {"CLERK_AUTHORIZED_PARTIES=https://app.example.com"},
}

const httpsUpstream = "TOLLBOOK_UPSTREAM_URL=https://127.0.0.1"

// TestExampleLoads loads the file as it stands, and with each line that is
// commented out, beside what that needs. The files of secrets are not there.
func TestExampleLoads(t *testing.T) {
	t.Parallel()
	text, _ := readExample(t)
	dir := t.TempDir()
	load := func(what, text string) {
		t.Helper()
		path := writeFile(t, dir, "x.env", text)
		_, _, warnings, err := loadConfig(exampleNeeds[what], dir, path)
		if err != nil || warnings != nil {
			t.Errorf("%s: %v %v", what, err, warnings)
		}
	}
	load("as it stands", text)
	for _, s := range settingsOf(new(config)) {
		load(s.name, strings.Replace(text, "#"+s.name+"=", s.name+"=", 1))
	}
}

// TestExampleReadsAlikeByDocker reads every setting, commented out or not, by
// the rule of docker's --env-file: all behind the first = is the value.
func TestExampleReadsAlikeByDocker(t *testing.T) {
	t.Parallel()
	text, example := readExample(t)
	all := exampleLine.ReplaceAllString(text, "$2=$3")
	got, err := godotenv.Unmarshal(all)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "number of settings", len(got), len(example))
	for _, e := range example {
		equal(t, e.name, got[e.name], e.value)
		if strings.ContainsAny(e.value, "\"'`$#") || strings.TrimSpace(e.value) != e.value {
			t.Errorf("%s: %q is read differently by some", e.name, e.value)
		}
	}
	for line := range strings.Lines(text) {
		bare := strings.TrimSuffix(line, "\n")
		if bare != "" && bare[0] != '#' && !exampleLine.MatchString(bare) {
			t.Errorf("%q is neither a comment nor a setting", bare)
		}
	}
}
