package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// BenchmarkEventLag takes the time from an event's leaving the upstream to its
// arrival at the client, the longest too.
func BenchmarkEventLag(b *testing.B) {
	const event = "data: pending\n\n"
	due := make(chan struct{})
	s := start(b, httpUpstream(b, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		_ = control.Flush()
		for {
			select {
			case <-due:
				_, _ = io.WriteString(w, event)
				_ = control.Flush()
			case <-r.Context().Done():
				return
			}
		}
	}), setup{})
	events := s.do("GET", "/events", nil).Body
	var longest time.Duration
	buf := make([]byte, len(event))
	for b.Loop() {
		begun := time.Now()
		due <- struct{}{}
		if _, err := io.ReadFull(events, buf); err != nil {
			b.Fatalf("reading an event: %v", err)
		}
		longest = max(longest, time.Since(begun))
	}
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
	_ = events.Close()
}
