package main

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"tollbook/audit"
	"tollbook/proxy"
	"tollbook/proxy/clerk"
)

// openMetrics makes the registry of this sidecar, of which there may be several
// in a process. The parts register with it as they are opened.
func (s *sidecar) openMetrics(context.Context) error {
	s.registry = prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tollbook_build_info", Help: "1; what was built stands in the labels.",
		ConstLabels: prometheus.Labels{"version": readVersion().String()},
	})
	build.Set(1)
	s.registry.MustRegister(build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.metrics = proxy.NewMetrics(s.registry)
	return nil
}

// certificateMetric reads when our certificate expires.
func certificateMetric(notAfter func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tollbook_certificate_not_after_seconds",
		Help: "When the certificate that clients are shown expires, since 1970; 0: no TLS.",
	}, notAfter)
}

// maxScrapes is how many scrapes are answered at once; the others get a 503.
const maxScrapes = 4

// scrape answers /metrics.
func (s *sidecar) scrape() http.Handler {
	return promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{
		ErrorLog: zap.NewStdLog(s.log.Named("metrics")), MaxRequestsInFlight: maxScrapes,
	})
}

// Bounds of the histograms of commits, in seconds and in records.
var (
	commitSeconds = []float64{
		.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5,
	}
	commitRecords = prometheus.ExponentialBuckets(1, 2, 13)
)

// countCommits returns what counts the trail's commits.
func countCommits(reg prometheus.Registerer) func(audit.Commit) {
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tollbook_audit_commit_duration_seconds", Buckets: commitSeconds,
		Help: "Time that a group commit of the trail took, fsync included.",
	})
	records := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tollbook_audit_commit_records", Buckets: commitRecords,
		Help: "Records in a group commit of the trail.",
	})
	reg.MustRegister(duration, records)
	return func(c audit.Commit) {
		duration.Observe(c.Duration.Seconds())
		records.Observe(float64(c.Records))
	}
}

// trailMetrics reads the trail at each scrape.
type trailMetrics struct{ trail *audit.Log }

var (
	auditUp = prometheus.NewDesc("tollbook_audit_up",
		"1 if new requests can be recorded, 0 if they get 503.", nil, nil)
	auditQueue = prometheus.NewDesc("tollbook_audit_queue_records",
		"Records that wait to be written.", nil, nil)
	auditSeq = prometheus.NewDesc("tollbook_audit_durable_seq",
		"seq of the newest record that is durable.", nil, nil)
	auditFree = prometheus.NewDesc("tollbook_audit_free_bytes",
		"Free space in the trail's file system; absent if it can't be told.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (trailMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{auditUp, auditQueue, auditSeq, auditFree} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m trailMetrics) Collect(ch chan<- prometheus.Metric) {
	s, up := m.trail.Stats(), 0.0
	if s.Err == nil {
		up = 1
	}
	ch <- gauge(auditUp, up)
	ch <- gauge(auditQueue, float64(s.Queued))
	ch <- gauge(auditSeq, float64(s.DurableSeq))
	if s.FreeBytes >= 0 {
		ch <- gauge(auditFree, float64(s.FreeBytes))
	}
}

// keyMetrics reads the state of the keys at each scrape.
type keyMetrics struct{ verifier *clerk.Verifier }

var (
	keysHeld = prometheus.NewDesc("tollbook_keys",
		"Keys that tokens are verified with.", nil, nil)
	keyFetches = prometheus.NewDesc("tollbook_jwks_fetches_total",
		"Fetches of the key set by result; 0 for a PEM key.", []string{"result"}, nil)
	keyAge = prometheus.NewDesc("tollbook_jwks_key_age_seconds",
		"Time since the last good fetch; absent before the first and for a PEM key.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (keyMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{keysHeld, keyFetches, keyAge} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m keyMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.verifier.Stats()
	ch <- gauge(keysHeld, float64(s.Keys))
	ch <- counter(keyFetches, s.Fetches, "ok")
	ch <- counter(keyFetches, s.Failures, "error")
	if !s.Fetched.IsZero() {
		ch <- gauge(keyAge, time.Since(s.Fetched).Seconds())
	}
}

func gauge(d *prometheus.Desc, value float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
}

func counter(d *prometheus.Desc, value int64, label string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), label)
}
