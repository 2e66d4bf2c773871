package proxy

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"tollbook/proxy/clerk"
)

// refusalReasons are those of all replies of our own that are not the upstream's
// failure, and of requests that got none.
var refusalReasons = slices.Concat(clerk.Reasons(), []string{
	"preflight_denied", "impersonation_denied", "request_invalid", "method_not_allowed",
	"body_malformed", "body_too_large", "reason_required", "overloaded", "draining",
	"origin_refused", "body_stalled", "audit_unavailable", "audit_outcome_unrecorded",
	"client_aborted", "internal_error", "stream_lifetime", "client_stalled",
})

// failureReasons are those of the upstream's failures.
var failureReasons = []string{"upstream_unreachable", "upstream_timeout"}

// reasonOther stands for what is not in the list: a label must not have values
// without bounds.
const reasonOther = "other"

// reasonCounters has a counter for each reason. It is not changed once made.
type reasonCounters map[string]prometheus.Counter

// countersOf makes all counters, so that each is there at 0.
func countersOf(vec *prometheus.CounterVec, reasons []string) reasonCounters {
	counters := reasonCounters{reasonOther: vec.WithLabelValues(reasonOther)}
	for _, reason := range reasons {
		counters[reason] = vec.WithLabelValues(reason)
	}
	return counters
}

func (c reasonCounters) inc(reason string) {
	counter, known := c[reason]
	if !known {
		counter = c[reasonOther]
	}
	counter.Inc()
}

const namespace = "tollbook"

func opts(name, help string) prometheus.CounterOpts {
	return prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}
}

func newCounters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(opts(name, help), labels)
}

func histogramOpts(name, help string, bounds []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: bounds}
}

func newHistogram(name, help string, bounds []float64) prometheus.Histogram {
	return prometheus.NewHistogram(histogramOpts(name, help, bounds))
}
