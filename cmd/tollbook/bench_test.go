package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollbook/proxy"
	"tollbook/proxy/clerk/clerktest"
)

// The benchmark compares processes. The bare proxy and the upstream are this
// test's binary again, told what to be by its environment.
const childVariable = "TOLLBOOK_BENCH_CHILD"

func TestMain(m *testing.M) {
	for _, variable := range os.Environ() {
		if role, ok := strings.CutPrefix(variable, childVariable+"="); ok {
			runChild(role)
			return
		}
	}
	runTests(m)
}

// benchReply is what the upstream answers: 104 bytes.
var benchReply = fmt.Sprintf(`{"job_id":"job_0123456789","status":"pending","note":%q}`, strings.Repeat("x", 48))

// runChild serves until standard input ends. The role is `upstream`, or the URL
// of one to be a bare proxy in front of.
func runChild(role string) {
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, benchReply)
	})
	if role != "upstream" {
		handler = bareProxy(role)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go func() { panic(http.Serve(l, handler)) }() //nolint:gosec // a peer on loopback
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// bareProxy is httputil.ReverseProxy with our transport and nothing else.
func bareProxy(upstream string) http.Handler {
	target, err := url.Parse(upstream)
	if err != nil {
		panic(err)
	}
	transport, _, err := proxy.NewTransport(proxy.TransportConfig{Upstream: target})
	if err != nil {
		panic(err)
	}
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.SetXForwarded()
		},
	}
}

// A peer is a process under load.
type peer struct {
	name string
	url  string
	pid  int
	cpu  []float64 // microseconds of CPU a request, one of each round
	rate []float64 // requests a second, likewise
}

const (
	benchClients  = 32
	benchRequests = 8000 // of each peer in each round
)

// BenchmarkAgainstBareProxy drives a bare httputil.ReverseProxy and tollbook, in
// both durabilities, in turn, with 32 clients each. It reports the medians of the
// rounds; -benchtime 5x makes five of them.
func BenchmarkAgainstBareProxy(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("reads the CPU time of other processes from /proc")
	}
	upstream := startChild(b, "upstream")
	key := clerktest.SharedKey("ins_bench")
	token := key.Sign(clerktest.SessionClaims(benchIssuer, "user_bench", time.Now()))
	peers := []*peer{
		startChild(b, "http://"+upstream.url),
		startBenchSidecar(b, upstream, key, "os"),
		startBenchSidecar(b, upstream, key, "fsync"),
	}
	for range b.N {
		for _, p := range peers {
			p.round(b, token)
		}
	}
	bare := peers[0]
	b.ReportMetric(0, "ns/op")
	for _, p := range peers {
		b.ReportMetric(median(p.cpu), p.name+"-cpu-µs/req")
		b.ReportMetric(median(p.rate), p.name+"-req/s")
		if p != bare {
			b.ReportMetric(median(p.cpu)/median(bare.cpu), p.name+"/bare-cpu")
		}
	}
}

const benchIssuer = "https://bench.clerk.accounts.dev"

func median(list []float64) float64 {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

func startChild(b *testing.B, role string) *peer {
	b.Helper()
	cmd := exec.CommandContext(context.Background(), os.Args[0]) //nolint:gosec // this test's own binary
	cmd.Env = []string{childVariable + "=" + role}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return &peer{name: "bare", url: strings.TrimSpace(addr), pid: cmd.Process.Pid}
}

func startBenchSidecar(b *testing.B, upstream *peer, key *clerktest.Key, durability string) *peer {
	b.Helper()
	dir := b.TempDir()
	binary := filepath.Join(dir, "tollbook")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(context.Background(), binary, "serve")
	cmd.Dir = dir
	cmd.Env = []string{
		"CLERK_ISSUER=" + benchIssuer, "CLERK_LEEWAY=5m",
		"CLERK_PEM_PUBLIC_KEY=" + strings.ReplaceAll(key.PEM(), "\n", `\n`),
		"TOLLBOOK_UPSTREAM_URL=http://" + upstream.url, "TOLLBOOK_LISTEN_ADDR=127.0.0.1:0",
		"TOLLBOOK_ADMIN_ADDR=127.0.0.1:0", "TOLLBOOK_AUDIT_DIR=" + dir + "/audit",
		"TOLLBOOK_AUDIT_DURABILITY=" + durability,
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	log := bufio.NewReader(stderr)
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, log)
		_ = cmd.Wait()
	})
	for {
		line, err := log.ReadBytes('\n')
		if err != nil {
			b.Fatalf("tollbook ended: %s", line)
		}
		var entry struct{ Msg, Listen string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "serving" {
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return &peer{name: durability, url: entry.Listen, pid: cmd.Process.Pid}
		}
	}
}

// round sends benchRequests and notes what they cost the peer.
func (p *peer) round(b *testing.B, token string) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchClients}}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(benchRequests)
	before, start := cpuTime(b, p.pid), time.Now()
	var clients sync.WaitGroup
	for range benchClients {
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				if err := get(b.Context(), client, "http://"+p.url+"/jobs/job_0123456789", token); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	elapsed, used := time.Since(start), cpuTime(b, p.pid)-before
	p.cpu = append(p.cpu, float64(used.Microseconds())/benchRequests)
	p.rate = append(p.rate, benchRequests/elapsed.Seconds())
}

func get(ctx context.Context, client *http.Client, target, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	r, err := send(client, req)
	if err == nil && (r.status != http.StatusOK || r.body != benchReply) {
		err = fmt.Errorf("got %d %q, want the upstream's reply", r.status, r.body)
	}
	return err
}

// cpuTime reads the user and system time of a process (proc_pid_stat(5), fields
// 14 and 15, in hundredths of a second).
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	rest := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')')+1:])
	var ticks int64
	for _, text := range rest[11:13] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
