package proxy

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what happens to requests, under names that begin with
// tollbook_. NewMetrics makes it. It is safe for concurrent use; its methods
// neither lock nor allocate, but for the first request of a route and status. A
// nil *Metrics counts nothing.
type Metrics struct {
	requests  *prometheus.CounterVec
	byStatus  [routeClasses][statusSlots]atomic.Pointer[prometheus.Counter]
	durations [routeClasses]prometheus.Observer
	unparsed  prometheus.Counter
	refusals  reasonCounters
	upstream  prometheus.Histogram
	failures  reasonCounters
	late      prometheus.Histogram
	load      atomic.Pointer[Load]
}

// A RouteClass is what a request's route was found to be.
type RouteClass uint8

// The classes of routes.
const (
	// RouteNone: the request was refused before its route was looked at.
	RouteNone RouteClass = iota
	// RoutePublic needs no token.
	RoutePublic
	// RoutePreflight is a CORS preflight.
	RoutePreflight
	// RouteProtected needs one.
	RouteProtected

	routeClasses = iota
)

// String is the value of the label route.
func (c RouteClass) String() string {
	return [routeClasses]string{"none", "public", "preflight", "protected"}[c]
}

// A status has the slot of its number. Numbers that no status has share one, and
// so do the requests whose client left before it had a reply.
const (
	statusSlots = 600
	slotNone    = 0
	slotOther   = 1
	firstStatus = 100
)

// Bounds of the histograms, in seconds. Ours is the part below a millisecond, the
// upstream's the rest; a token that is late by more than a minute is no matter of
// clocks.
var (
	requestSeconds = []float64{
		.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60,
	}
	lateSeconds = []float64{.1, .5, 1, 2, 5, 10, 30, 60, 300, 3600, 86400}
)

// NewMetrics registers the metrics of the request path with reg. It panics if
// they are there already: a registry serves one Handler.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: newCounters("requests_total",
			"Requests by route class and status; none: the client left before a reply.",
			"route", "status"),
		unparsed: prometheus.NewCounter(opts("requests_unparsed_total",
			"Requests that broke off or were refused by net/http before they were requests to us.")),
		upstream: newHistogram("upstream_duration_seconds",
			"From forwarding a request to the head of the upstream's reply.", requestSeconds),
		late: newHistogram("token_expired_late_seconds",
			"How long before they came expired tokens had expired.", lateSeconds),
	}
	durations := prometheus.NewHistogramVec(histogramOpts("request_duration_seconds",
		"From the head of a request to the end of its reply, streams included.", requestSeconds),
		[]string{"route"})
	refusals := newCounters("refusals_total",
		"Requests that were answered by us alone, or whose reply we cut.", "reason")
	failures := newCounters("upstream_failures_total",
		"Requests that the upstream did not answer, or not to the end.", "reason")
	reg.MustRegister(m.requests, m.unparsed, durations, refusals, failures, m.upstream, m.late)
	m.registerLoad(reg)
	m.refusals = countersOf(refusals, refusalReasons)
	m.failures = countersOf(failures, failureReasons)
	for c := range RouteClass(routeClasses) {
		m.durations[c] = durations.WithLabelValues(c.String())
		for _, status := range statusesFromTheStart {
			m.counter(c, status)
		}
	}
	return m
}

// statusesFromTheStart are there before they happen: of what first appears as 1,
// Prometheus sees no increase.
var statusesFromTheStart = []int{200, 401, 500, 502, 503, 504}

// Request counts a request that is over: status is what the client was sent, 0 if
// it left before that, and took the time from its head to the end of its reply.
func (m *Metrics) Request(class RouteClass, status int, took time.Duration) {
	if m == nil {
		return
	}
	m.counter(class, status).Inc()
	m.durations[class].Observe(took.Seconds())
}

// counter returns the counter of a class and status, which it makes once.
func (m *Metrics) counter(class RouteClass, status int) prometheus.Counter {
	if status != slotNone && (status < firstStatus || status >= statusSlots) {
		status = slotOther
	}
	slot := &m.byStatus[class][status]
	if c := slot.Load(); c != nil {
		return *c
	}
	c := m.requests.WithLabelValues(class.String(), statusLabel(status))
	slot.Store(&c) // the same one, whoever comes first
	return c
}

func statusLabel(slot int) string {
	switch slot {
	case slotNone:
		return "none"
	case slotOther:
		return reasonOther
	default:
		return strconv.Itoa(slot)
	}
}

// Unparsed counts a request that no handler saw: net/http refused it (400, 417,
// 431, 501), or it broke off.
func (m *Metrics) Unparsed() {
	if m != nil {
		m.unparsed.Inc()
	}
}

// Refused counts a request that was answered by us alone, or whose reply we took
// back or cut. A reason that is not in the list is a bug, counted as other.
func (m *Metrics) Refused(reason string) {
	if m != nil {
		m.refusals.inc(reason)
	}
}

// Upstream notes the time from forwarding to the head of the reply.
func (m *Metrics) Upstream(took time.Duration) {
	if m != nil {
		m.upstream.Observe(took.Seconds())
	}
}

// UpstreamFailed counts a request that the upstream did not answer, or not to the
// end: the reason is upstream_unreachable or upstream_timeout.
func (m *Metrics) UpstreamFailed(reason string) {
	if m != nil {
		m.failures.inc(reason)
	}
}

// ExpiredLate notes by how much a token was late that was refused as expired.
func (m *Metrics) ExpiredLate(by time.Duration) {
	if m != nil {
		m.late.Observe(by.Seconds())
	}
}
