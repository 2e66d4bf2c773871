package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tollbook/audit"
	"tollbook/proxy"
)

// limited are requests whose body has 10 bytes, as the limit is.
func limited(size int) map[string]string {
	body := strings.Repeat("x", size)
	multi := "multipart/form-data; boundary=XX"
	return map[string]string{
		"length":  request("POST /", body, fmt.Sprintf("Content-Length: %d", size)),
		"chunked": request("POST /", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body), "Transfer-Encoding: chunked"),
		"multipart": request("POST /", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body),
			"Transfer-Encoding: chunked", "Content-Type: "+multi),
	}
}

func TestBodiesMayBeAsLongAsTheLimit(t *testing.T) {
	t.Parallel()
	for name, text := range limited(10) {
		rec := record(t, okReply)
		s := start(t, rec.addr, setup{proxy: proxy.Config{MaxBodyBytes: 10}})
		wantStatus(t, s.dial(text).reply("POST"), http.StatusOK)
		if r := s.only(audit.Completed); r.Req.Bytes != 10 || !r.Req.Complete {
			t.Errorf("%s: got request body %+v, want 10 bytes", name, r.Req)
		}
	}
}

func TestBodiesBeyondTheLimitAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range limited(11) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewRegistry()
			rec := record(t, okReply)
			s := start(t, rec.addr,
				setup{proxy: proxy.Config{MaxBodyBytes: 10, Metrics: proxy.NewMetrics(reg)}})
			p := s.dial(text)
			wantReply(t, p.reply("POST"), http.StatusRequestEntityTooLarge, "body_too_large",
				"The request body is too large")
			records := s.records()
			rec.mu.Lock()
			defer rec.mu.Unlock()
			if len(rec.requests) > 0 {
				t.Errorf("got whole requests upstream: %q", rec.requests)
			}
			if name == "length" {
				if r := onlyOf(t, records, audit.Refused); r.Reason != "body_too_large" || rec.partial.Len() > 0 {
					t.Errorf("got reason %q and %q upstream, want nothing", r.Reason, rec.partial.String())
				}
			} else {
				r := onlyOf(t, records, audit.Completed)
				wantOutcome(t, r, audit.Rejected, "body_too_large", 413, 0)
				if r.Req.Complete {
					t.Error("got a complete request body")
				}
			}
			wantValues(t, scrape(t, reg), map[string]float64{
				`tollbook_refusals_total{reason="body_too_large"}`: 1,
			})
		})
	}
}

// The limit holds on HTTP/2, whose bodies may have no length, and the other
// streams go on.
func TestBodiesBeyondTheLimitAreRefusedOnHTTP2(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	ended := make(chan error, 9)
	d := dialects[2]
	s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}), d.setup(t, setup{proxy: proxy.Config{MaxBodyBytes: limit}}))
	client := d.client(s)
	for _, test := range []struct {
		size, length int64
		forwarded    bool
	}{{limit, -1, true}, {limit + 1, -1, true}, {limit + 1, limit + 1, false}, {limit, limit, true}} {
		r := d.request(s, "POST", "/")
		r.Body, r.ContentLength = io.NopCloser(fill(test.size)), test.length
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("POST: %v", err)
		}
		if test.size > limit {
			wantReply(t, answer{res}, http.StatusRequestEntityTooLarge, "body_too_large",
				"The request body is too large")
		}
		_ = res.Body.Close()
		if !test.forwarded {
			continue
		}
		if err := <-ended; (err == nil) != (test.size == limit) {
			t.Errorf("got error %v upstream for %d bytes", err, test.size)
		}
	}
}
