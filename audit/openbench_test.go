package audit_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

// filled makes a log of about so many bytes, in one day file, that ended well.
func filled(b *testing.B, size int64) (dir string) {
	b.Helper()
	trail, err := audit.Open(audit.Config{Dir: b.TempDir(), Durability: audit.OS})
	if err != nil {
		b.Fatal(err)
	}
	r := request("r")
	r.UserAgent = strings.Repeat("x", 30<<10) // big lines are quickly made
	each := size / (31 << 10) / 64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range each / 2 {
				x, err := trail.Begin(context.Background(), r)
				if err == nil {
					err = x.End(audit.Result{Outcome: audit.OK, Metadata: audit.Object{
						{Name: "note", Value: audit.String(r.UserAgent)},
					}})
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := trail.Close(); err != nil {
		b.Fatal(err)
	}
	return trail.Dir
}

// BenchmarkOpen shows that the time of a start does not grow with the trail:
// x-small is the time of a trail of 1 GB as a multiple of that of 1 MB.
func BenchmarkOpen(b *testing.B) {
	var small time.Duration
	for _, mb := range []int64{1, 1000} {
		if mb > 1 && testing.Short() {
			b.Skip("1 GB is much to write")
		}
		dir := filled(b, mb*1_000_000)
		b.Run(strconv.FormatInt(mb, 10)+"MB", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				trail, err := audit.Open(audit.Config{Dir: dir, Durability: audit.OS})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := trail.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			each := b.Elapsed() / time.Duration(b.N)
			if mb == 1 {
				small = each
			}
			b.ReportMetric(float64(each)/float64(max(1, small)), "x-small")
		})
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
	}
}
