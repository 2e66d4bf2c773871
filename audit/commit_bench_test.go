package audit_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

// BenchmarkGroupCommit holds 64 writers that share their fsyncs, two records a
// request, against one that writes as many bytes and fsyncs each time, turn by
// turn in one run. The metric is how many times more records a second they write:
// the median of the rounds.
func BenchmarkGroupCommit(b *testing.B) {
	const writers, rounds, round = 64, 7, 150 * time.Millisecond
	trail := openBench(b, audit.Fsync)
	alone, err := os.OpenFile(filepath.Join(b.TempDir(), "alone"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer alone.Close()
	line := make([]byte, 1000)
	var ratios []float64
	for b.Loop() {
		for range rounds {
			serial := perSecond(round, 1, func() error {
				if _, err := alone.Write(line); err != nil {
					return err
				}
				return alone.Sync()
			})
			requests := perSecond(round, writers, func() error {
				x, err := trail.Begin(context.Background(), request("r1"))
				if err != nil {
					return err
				}
				return x.End(audit.Result{Outcome: audit.OK, HTTPStatus: 200})
			})
			ratios = append(ratios, 2*requests/serial)
		}
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-serial-fsync")
}

// perSecond runs do in so many goroutines for d and returns how often it was
// done in a second.
func perSecond(d time.Duration, goroutines int, do func() error) float64 {
	var wg sync.WaitGroup
	counts := make([]int, goroutines)
	began := time.Now()
	for g := range goroutines {
		wg.Go(func() {
			for time.Since(began) < d {
				if do() != nil {
					return
				}
				counts[g]++
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(began).Seconds()
}
