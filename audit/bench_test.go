package audit_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

// ratio returns how many times longer one takes than other: the median of pairs
// of runs, one after the other, so that both meet the same machine.
func ratio(pairs int, one, other func()) float64 {
	took := func(do func()) float64 {
		start := time.Now()
		do()
		return float64(time.Since(start))
	}
	all := make([]float64, pairs)
	for i := range all {
		all[i] = took(one) / took(other)
	}
	slices.Sort(all)
	return all[pairs/2]
}

// times returns a run of n of do, which take long enough for the clock.
func times(n int, do func()) func() {
	return func() {
		for range n {
			do()
		}
	}
}

// BenchmarkRecord encodes one record. The metric is what all of a record costs
// (encoded, chained, hashed into the tree) over two SHA-256 of its line alone.
func BenchmarkRecord(b *testing.B) {
	r := full()
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = audit.AppendRecord(line[:0], r)
	}
	b.SetBytes(int64(len(line)))
	var chain, node audit.Hash
	b.ReportMetric(ratio(51, times(200, func() {
		line = audit.AppendRecord(line[:0], r)
		chain = audit.HashLine(line)
		node = audit.NodeHash(node, audit.LeafHash(line))
	}), times(200, func() {
		chain = sha256.Sum256(line)
		node = sha256.Sum256(line)
	})), "x-two-sha256")
	_ = chain
}

func BenchmarkParse(b *testing.B) {
	line := []byte(goldenFull)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := audit.Parse(line); err != nil {
			b.Fatal(err)
		}
	}
}

// trailFile writes a file of at least size bytes, of lines like those of a busy
// day, and returns its path.
func trailFile(b *testing.B, size int) string {
	b.Helper()
	var data []byte
	for r := full(); len(data) < size; r.Seq++ {
		data = append(audit.AppendRecord(data, r), '\n')
	}
	path := filepath.Join(b.TempDir(), "trail")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkRead reads, parses and hashes a file on one core and on two. The
// metric is its speed over that of the sha256sum command on the same file.
func BenchmarkRead(b *testing.B) {
	path := trailFile(b, 64<<20)
	readAll := func() {
		f, err := os.Open(path)
		if err == nil {
			err = audit.EachRead(b.Context(), f, 0, func(l audit.ReadLine) error { return l.Err })
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			b.Error(err)
		}
	}
	sum := func() {
		if err := exec.CommandContext(b.Context(), "sha256sum", path).Run(); err != nil {
			b.Error(err)
		}
	}
	for _, cores := range []int{1, 2} {
		b.Run("cores="+strconv.Itoa(cores), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			b.ReportAllocs()
			for b.Loop() {
				readAll()
			}
			if _, err := exec.LookPath("sha256sum"); err == nil {
				b.ReportMetric(ratio(7, sum, readAll), "x-sha256sum")
			}
		})
	}
}

func beginEnd(b *testing.B, trail *audit.Log) {
	x, err := trail.Begin(context.Background(), request("r1"))
	if err == nil {
		err = x.End(audit.Result{Outcome: audit.OK, HTTPStatus: 200})
	}
	if err != nil {
		b.Error(err)
	}
}

func openBench(b *testing.B, durability audit.Durability) *audit.Log {
	b.Helper()
	trail, err := audit.Open(audit.Config{Dir: b.TempDir(), Durability: durability})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = trail.Close() })
	return trail
}

// BenchmarkBeginEnd is a request's whole cost on disk: 64 at a time share their
// fsyncs, one at a time does not.
func BenchmarkBeginEnd(b *testing.B) {
	for name, durability := range map[string]audit.Durability{"fsync": audit.Fsync, "os": audit.OS} {
		for _, writers := range []int{1, 64} {
			b.Run(name+"/"+strconv.Itoa(writers), func(b *testing.B) {
				trail := openBench(b, durability)
				if writers == 1 {
					for b.Loop() {
						beginEnd(b, trail)
					}
					return
				}
				b.SetParallelism(writers / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						beginEnd(b, trail)
					}
				})
			})
		}
	}
}

// BenchmarkVerify verifies a trail of forwarded requests on one core and on two.
// The metric is its speed over that of the sha256sum command on the same file.
func BenchmarkVerify(b *testing.B) {
	trail := openBench(b, audit.OS)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 500 {
				beginEnd(b, trail)
			}
		})
	}
	wg.Wait()
	if err := trail.Close(); err != nil {
		b.Fatal(err)
	}
	var report *audit.Report
	verify := func() {
		var err error
		if report, err = audit.Verify(b.Context(), trail.Dir, audit.VerifyConfig{}); err != nil {
			b.Error(err)
		}
	}
	days, err := filepath.Glob(filepath.Join(trail.Dir, "audit_*.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	sum := func() {
		if err := exec.CommandContext(b.Context(), "sha256sum", days...).Run(); err != nil {
			b.Error(err)
		}
	}
	for _, cores := range []int{1, 2} {
		b.Run("cores="+strconv.Itoa(cores), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			b.ReportAllocs()
			for b.Loop() {
				verify()
			}
			b.SetBytes(report.Bytes)
			if _, err := exec.LookPath("sha256sum"); err == nil {
				b.ReportMetric(ratio(7, sum, verify), "x-sha256sum")
			}
		})
	}
}
