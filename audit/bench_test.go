package audit_test

import (
	"context"
	"crypto/sha256"
	"os"
	"strconv"
	"testing"

	"tollbook/audit"
)

func BenchmarkRecord(b *testing.B) {
	r := full()
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = audit.AppendRecord(line[:0], r)
	}
	b.SetBytes(int64(len(line)))
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

// BenchmarkVerify is to be held against the hash alone of the same bytes.
func BenchmarkVerify(b *testing.B) {
	trail := openBench(b, audit.OS)
	for range 2000 {
		beginEnd(b, trail)
	}
	if err := trail.Close(); err != nil {
		b.Fatal(err)
	}
	report, err := audit.Verify(b.Context(), trail.Dir, audit.VerifyConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(report.Bytes)
		for b.Loop() {
			if _, err := audit.Verify(b.Context(), trail.Dir, audit.VerifyConfig{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(report.Bytes)
		entries, err := os.ReadDir(trail.Dir)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			for _, e := range entries {
				data, err := os.ReadFile(trail.Dir + "/" + e.Name())
				if err != nil {
					b.Fatal(err)
				}
				sha256.Sum256(data)
			}
		}
	})
}
