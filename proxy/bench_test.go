package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"tollbook/proxy"
)

// A benchmark of the whole way over loopback, against a ReverseProxy that does
// nothing of ours.
func BenchmarkHandler(b *testing.B) {
	addr := httpUpstream(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"job_id":"7","status":"pending"}`)
	})
	b.Run("tollbook", func(b *testing.B) {
		s := start(b, addr, setup{proxy: proxy.Config{
			Events:         []proxy.Event{{Name: "status", Pattern: "GET /jobs/{job_id}"}},
			ResponseFields: lifted,
		}})
		ask(b, s.client, "http://"+s.addr)
	})
	b.Run("ReverseProxy", func(b *testing.B) {
		target := &url.URL{Scheme: "http", Host: addr}
		transport, _, err := proxy.NewTransport(proxy.TransportConfig{Upstream: target})
		if err != nil {
			b.Fatalf("NewTransport: %v", err)
		}
		bare := httptest.NewServer(&httputil.ReverseProxy{
			Transport: transport,
			Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target); p.SetXForwarded() },
		})
		b.Cleanup(bare.Close)
		client := bare.Client()
		client.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
		ask(b, client, bare.URL)
	})
}

// ask sends requests from 16 clients for each CPU.
func ask(b *testing.B, client *http.Client, base string) {
	b.Helper()
	token := "Bearer " + goodToken()
	b.ReportAllocs()
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, base+"/jobs/7", nil)
			if err != nil {
				b.Errorf("making a request: %v", err)
				return
			}
			r.Header.Set("Authorization", token)
			res, err := client.Do(r)
			if err != nil {
				b.Errorf("asking: %v", err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
				b.Errorf("got status %d and error %v, want 200", res.StatusCode, err)
			}
		}
	})
}
