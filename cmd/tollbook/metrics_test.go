package main

import (
	"strings"
	"testing"
)

// gathered returns what a sidecar's gauges and counters without labels show.
func gathered(t *testing.T, s *sidecar) map[string]float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatalf("gathering: %v", err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) == 0 {
				values[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return values
}

func TestAPEMKeyHasNoAge(t *testing.T) {
	t.Parallel()
	s, _ := serving(t)
	got := gathered(t, s)
	if age, there := got["tollbook_jwks_key_age_seconds"]; there {
		t.Errorf("got an age of %v s for a key that is never fetched, want none", age)
	}
	if got["tollbook_keys"] != 1 {
		t.Errorf("got %v keys, want 1", got["tollbook_keys"])
	}
}

func TestATrailThatTakesNoRequestsIsNotUp(t *testing.T) {
	t.Parallel()
	s, stop := serving(t)
	if up := gathered(t, s)["tollbook_audit_up"]; up != 1 {
		t.Errorf("serving: got tollbook_audit_up %v, want 1", up)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if up := gathered(t, s)["tollbook_audit_up"]; up != 0 {
		t.Errorf("closed: got tollbook_audit_up %v, want 0", up)
	}
	s, _ = serving(t, "TOLLBOOK_AUDIT_MIN_FREE="+byteSize(maxByteSize).String())
	if up := gathered(t, s)["tollbook_audit_up"]; up != 0 {
		t.Errorf("with too little room: got tollbook_audit_up %v, want 0", up)
	}
}

// TestSidecarsHaveTheirOwnMetrics starts two in one process: a registry that both
// used would refuse the second.
func TestSidecarsHaveTheirOwnMetrics(t *testing.T) {
	t.Parallel()
	first, _ := serving(t)
	second, _ := serving(t)
	first.metrics.Unparsed()
	const name = "tollbook_requests_unparsed_total"
	if one, two := gathered(t, first)[name], gathered(t, second)[name]; one != 1 || two != 0 {
		t.Errorf("got %v and %v, want 1 and 0", one, two)
	}
}

// TestABuildIsNamed finds the version among the metrics.
func TestABuildIsNamed(t *testing.T) {
	t.Parallel()
	s, _ := serving(t)
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "tollbook_build_info" && strings.Contains(f.String(), readVersion().Version) {
			return
		}
	}
	t.Errorf("got no tollbook_build_info with version %s", readVersion())
}
