package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// configError lists every mistake in the settings, each on one line that names
// the variable, what is wrong and what would be right. The cure is the
// operator's: the program was wrongly called.
type configError []string

// Error holds one line for one mistake, else a heading and a line for each.
func (e configError) Error() string {
	if len(e) == 1 {
		return "configuration: " + e[0]
	}
	return fmt.Sprintf("configuration: %d mistakes\n  %s", len(e), strings.Join(e, "\n  "))
}

// settingError is what is wrong with one variable, and its cure.
type settingError struct{ name, text string }

func (m settingError) Error() string { return m.name + ": " + m.text }

// loader gathers the settings and everything that is wrong with them.
type loader struct {
	dir    string
	loaded string            // path of the environment file, "" for none
	vars   map[string]string // what is set: never an empty value
	origin map[string]string // setting → its twin, when the value came from that

	mistakes []settingError
	warnings []string
}

// newLoader reads the environment file and lays environ over it. A file that
// can't be read is the only mistake reported: what it would have set is unknown.
func newLoader(environ []string, dir, envFile string) (*loader, error) {
	vars, loaded, err := readEnvFile(dir, envFile)
	if err != nil {
		return nil, configError{err.Error()}
	}
	l := &loader{
		dir: dir, loaded: loaded,
		vars: make(map[string]string), origin: make(map[string]string),
	}
	for name, value := range vars {
		l.set(name, value)
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		l.set(name, value)
	}
	return l, nil
}

// set keeps a variable unless it is empty: then it counts as unset, and what
// stood there before remains.
func (l *loader) set(name, value string) {
	if name != "" && value != "" {
		l.vars[name] = value
	}
}

// fail records a mistake in the setting called name.
func (l *loader) fail(name, format string, args ...any) {
	l.mistakes = append(l.mistakes, settingError{name, fmt.Sprintf(format, args...)})
}

// warn records what is allowed and probably not meant.
func (l *loader) warn(name, format string, args ...any) {
	l.warnings = append(l.warnings, name+": "+fmt.Sprintf(format, args...))
}

// failed reports whether a mistake was recorded for any of names, so that one
// mistake is not reported twice in other words.
func (l *loader) failed(names ...string) bool {
	return slices.ContainsFunc(l.mistakes, func(m settingError) bool {
		return slices.Contains(names, m.name)
	})
}

// err is all mistakes in the order of the settings, then those about names that
// are no setting; nil when there is none.
func (l *loader) err(settings []setting) error {
	if len(l.mistakes) == 0 {
		return nil
	}
	rank := make(map[string]int, len(settings))
	for i, s := range settings {
		rank[s.name] = i - len(settings)
	}
	slices.SortStableFunc(l.mistakes, func(a, b settingError) int {
		return rank[a.name] - rank[b.name]
	})
	lines := make(configError, len(l.mistakes))
	for i, m := range l.mistakes {
		if twin, ok := l.origin[m.name]; ok {
			m.name = twin
		}
		lines[i] = m.Error()
	}
	return lines
}

// fileNote says which environment file was read, for what is missing.
func (l *loader) fileNote() string {
	if l.loaded == "" {
		return fmt.Sprintf("no %s was found in %q", defaultEnvFile, l.dir)
	}
	return fmt.Sprintf("%q was loaded and does not set it", l.loaded)
}

// refuseUnknown records every name that looks like a setting and is none.
func (l *loader) refuseUnknown(settings []setting) {
	var known []string
	for _, s := range settings {
		known = append(known, s.names()...)
	}
	for _, name := range slices.Sorted(maps.Keys(l.vars)) {
		if strings.HasPrefix(name, ownPrefix) && !slices.Contains(known, name) && !injected(name) {
			l.fail(name, "there is no such setting; did you mean %s?%s",
				nearest(name, known), serviceHint(name))
		}
	}
}

// injected reports whether Kubernetes sets name for a Service of our own name.
func injected(name string) bool {
	return slices.ContainsFunc(kubernetesPrefixes[:], func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// serviceHint is what else name can be: Kubernetes injects names of this form
// for a Service whose own begins like ours.
func serviceHint(name string) string {
	if strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT") {
		return " If Kubernetes sets it for a Service, give the pod enableServiceLinks: false"
	}
	return ""
}

// nearest is the known name that the fewest edits make of name, the first of
// equals. Our prefix is no edit: somebody put it before a name that has none.
func nearest(name string, known []string) string {
	edits := func(k string) int {
		return distance(name, ownPrefix+strings.TrimPrefix(k, ownPrefix))
	}
	return slices.MinFunc(known, func(a, b string) int { return edits(a) - edits(b) })
}

// distance is the number of bytes to insert, delete or replace to make b of a
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
