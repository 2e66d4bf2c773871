package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zapcore"

	"tollbook/proxy"
)

// What a client hears of a reply that is cut is its end: the metrics must tell why
// all the same, as alerts are about it.
func TestRepliesThatAreCutAreCountedByReason(t *testing.T) {
	t.Parallel()
	begin := func(s *sidecar) { s.dial(request("GET /", "")) }
	whole := func(s *sidecar) { _ = s.dial(request("GET /", "")).everything() }
	flowing := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "so far")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for reason, test := range map[string]struct {
		with  proxy.Config
		serve func(s *sidecar, w http.ResponseWriter, r *http.Request)
		ask   func(s *sidecar)
	}{
		"refusals_total client_stalled": {
			proxy.Config{StallTimeout: stallSoon},
			func(_ *sidecar, w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, fill(1<<40)) },
			begin,
		},
		"refusals_total stream_lifetime": {
			proxy.Config{StreamLifetime: time.Millisecond},
			func(_ *sidecar, w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				flowing(w, r)
			}, whole,
		},
		"refusals_total audit_outcome_unrecorded": {
			proxy.Config{},
			func(s *sidecar, w http.ResponseWriter, _ *http.Request) {
				s.breakTrail()
				_, _ = io.Copy(w, fill(1<<20))
			}, whole,
		},
		"refusals_total draining": {
			proxy.Config{},
			func(_ *sidecar, w http.ResponseWriter, r *http.Request) { flowing(w, r) },
			func(s *sidecar) {
				wantStatus(t, s.dial(request("GET /", "")).reply("GET"), http.StatusOK)
				s.handler.Abort()
			},
		},
		"upstream_failures_total upstream_unreachable": {
			proxy.Config{},
			func(_ *sidecar, w http.ResponseWriter, _ *http.Request) {
				_, _ = io.Copy(w, fill(1<<20))
				panic(http.ErrAbortHandler)
			}, whole,
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewRegistry()
			test.with.Metrics = proxy.NewMetrics(reg)
			s := startSeen(t, setup{proxy: test.with}, func(self func() *sidecar) string {
				return httpUpstream(t, func(w http.ResponseWriter, r *http.Request) {
					test.serve(self(), w, r)
				})
			})
			test.ask(s)
			var name, label string
			_, _ = fmt.Sscan(reason, &name, &label)
			series := fmt.Sprintf("tollbook_%s{reason=%q}", name, label)
			eventually(t, "counting "+series, func() bool { return scrape(t, reg)[series] == 1 })
			logged := s.logs.FilterMessage("upstream").FilterLevelExact(zapcore.WarnLevel).Len()
			if want := strings.Count(name, "upstream"); logged != want {
				t.Errorf("got %d warnings of the upstream, want %d", logged, want)
			}
		})
	}
}
