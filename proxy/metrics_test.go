package proxy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollbook/proxy"
)

// scrape returns the value of each series, of histograms the count and the sum:
// `name{label="value"}`, in Prometheus's order of labels.
func scrape(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatalf("gathering: %v", err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += fmt.Sprintf(",%s=%q", l.GetName(), l.GetValue())
			}
			if labels != "" {
				labels = "{" + labels[1:] + "}"
			}
			if h := m.GetHistogram(); h != nil {
				values[f.GetName()+"_count"+labels] = float64(h.GetSampleCount())
				values[f.GetName()+"_sum"+labels] = h.GetSampleSum()
				continue
			}
			values[f.GetName()+labels] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

func wantValues(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for series, value := range want {
		if v, there := got[series]; !there || v != value {
			t.Errorf("%s: got %v (there: %t), want %v", series, v, there, value)
		}
	}
}

func TestMetricsCountUnderTheirNames(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := proxy.NewMetrics(reg)
	m.Request(proxy.RouteProtected, 201, 250*time.Millisecond)
	m.Request(proxy.RouteProtected, 201, 250*time.Millisecond)
	m.Request(proxy.RoutePublic, 0, time.Second)
	m.Request(proxy.RoutePreflight, 204, 0)
	m.Refused("token_expired")
	m.Upstream(time.Second / 2)
	m.UpstreamFailed("upstream_timeout")
	m.ExpiredLate(90 * time.Second)
	m.Unparsed()
	m.Watch(proxy.Load{
		InFlight: func() int64 { return 3 }, MaxInFlight: 1024,
		Streams: func() int64 { return 2 }, MaxStreams: 4096,
	})
	wantValues(t, scrape(t, reg), map[string]float64{
		`tollbook_requests_total{route="protected",status="201"}`:         2,
		`tollbook_requests_total{route="public",status="none"}`:           1,
		`tollbook_requests_total{route="preflight",status="204"}`:         1,
		`tollbook_requests_total{route="none",status="500"}`:              0,
		`tollbook_request_duration_seconds_count{route="protected"}`:      2,
		`tollbook_request_duration_seconds_sum{route="protected"}`:        .5,
		`tollbook_request_duration_seconds_count{route="none"}`:           0,
		`tollbook_refusals_total{reason="token_expired"}`:                 1,
		`tollbook_refusals_total{reason="token_missing"}`:                 0,
		`tollbook_upstream_duration_seconds_count`:                        1,
		`tollbook_upstream_failures_total{reason="upstream_timeout"}`:     1,
		`tollbook_upstream_failures_total{reason="upstream_unreachable"}`: 0,
		`tollbook_token_expired_late_seconds_sum`:                         90,
		`tollbook_requests_unparsed_total`:                                1,
		`tollbook_requests_in_flight`:                                     3,
		`tollbook_requests_in_flight_limit`:                               1024,
		`tollbook_streams`:                                                2,
		`tollbook_streams_limit`:                                          4096,
	})
}

// TestLabelsAreBounded counts what no reply should be, which must not make
// series of its own.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m := proxy.NewMetrics(reg)
	before := len(scrape(t, reg))
	odd := []int{-1, 1, 99, 600, 1000}
	for _, status := range odd {
		m.Request(proxy.RouteNone, status, 0)
		m.Refused(fmt.Sprintf("reason %d", status))
		m.UpstreamFailed(fmt.Sprintf("reason %d", status))
	}
	m.Request(proxy.RouteNone, 599, 0)
	m.Request(proxy.RouteNone, 100, 0)
	got := scrape(t, reg)
	wantValues(t, got, map[string]float64{
		`tollbook_requests_total{route="none",status="other"}`: float64(len(odd)),
		`tollbook_requests_total{route="none",status="599"}`:   1,
		`tollbook_requests_total{route="none",status="100"}`:   1,
		`tollbook_refusals_total{reason="other"}`:              float64(len(odd)),
		`tollbook_upstream_failures_total{reason="other"}`:     float64(len(odd)),
	})
	if made := len(got) - before; made != 3 {
		t.Errorf("got %d new series, want those of 3 statuses", made)
	}
}

// TestEveryReasonThatUsersReadOfIsCountedUnderItsName holds the list of reasons
// to the README's table of replies.
func TestEveryReasonThatUsersReadOfIsCountedUnderItsName(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	proxy.NewMetrics(reg)
	there := scrape(t, reg)
	row := regexp.MustCompile("(?m)^\\| [45]\\d\\d \\| ((?:`[a-z_]+` ?)+)\\|")
	rows := row.FindAllSubmatch(readme, -1)
	reasons := 0
	for _, row := range rows {
		for _, reason := range regexp.MustCompile("[a-z_]+").FindAll(row[1], -1) {
			reasons++
			_, refusal := there[fmt.Sprintf("tollbook_refusals_total{reason=%q}", reason)]
			_, failure := there[fmt.Sprintf("tollbook_upstream_failures_total{reason=%q}", reason)]
			if refusal == failure {
				t.Errorf("%s: got counted as refusal %t, as upstream failure %t, want one of them",
					reason, refusal, failure)
			}
		}
	}
	const least = 25
	if reasons < least {
		t.Errorf("got %d reasons in the README, want %d at least: is the table another?", reasons, least)
	}
}

func TestNoMetricsCountNothing(t *testing.T) {
	t.Parallel()
	var m *proxy.Metrics
	m.Request(proxy.RouteProtected, 200, time.Second)
	m.Refused("draining")
	m.Upstream(time.Second)
	m.UpstreamFailed("upstream_timeout")
	m.ExpiredLate(time.Second)
	m.Unparsed()
	m.Watch(proxy.Load{})
}

// TestCountingAtOnceLosesNothing counts a status for the first time from many
// goroutines, while it is scraped.
func TestCountingAtOnceLosesNothing(t *testing.T) {
	t.Parallel()
	const clients, each = 8, 500
	reg := prometheus.NewRegistry()
	m := proxy.NewMetrics(reg)
	var counting sync.WaitGroup
	for range clients {
		counting.Go(func() {
			for i := range each {
				m.Request(proxy.RouteProtected, 100+i, time.Millisecond)
				m.Refused("overloaded")
			}
		})
	}
	scrape(t, reg)
	counting.Wait()
	got := scrape(t, reg)
	wantValues(t, got, map[string]float64{
		`tollbook_refusals_total{reason="overloaded"}`:               clients * each,
		`tollbook_request_duration_seconds_count{route="protected"}`: clients * each,
	})
	for i := range each {
		series := fmt.Sprintf(`tollbook_requests_total{route="protected",status="%d"}`, 100+i)
		if got[series] != clients {
			t.Errorf("%s: got %v, want %d", series, got[series], clients)
		}
	}
}

// It does not run beside others, whose allocations it would count.
func TestCountingDoesNotAllocate(t *testing.T) {
	m := proxy.NewMetrics(prometheus.NewRegistry())
	m.Request(proxy.RouteProtected, 201, time.Millisecond)
	got := testing.AllocsPerRun(100, func() {
		m.Request(proxy.RouteProtected, 201, time.Millisecond)
		m.Refused("token_expired")
		m.Upstream(time.Millisecond)
		m.UpstreamFailed("upstream_timeout")
		m.ExpiredLate(time.Second)
	})
	if got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func BenchmarkMetricsOfARequest(b *testing.B) {
	m := proxy.NewMetrics(prometheus.NewRegistry())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Request(proxy.RouteProtected, 200, time.Millisecond)
			m.Upstream(time.Millisecond)
		}
	})
}
