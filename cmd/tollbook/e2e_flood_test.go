package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The flood: so many requests without a token, from so many clients at once, as
// fast as they get their replies, which is at 2,000 a second when they are many.
const (
	floodRequests = 5000
	floodClients  = 8
)

// TestFloodOfRefusalsIsCountedToTheLast floods the program with requests that it
// refuses while somebody posts jobs: each refusal is in the trail, by a record of
// its own or in a count, each job passes, and what the flood wrote is bounded by
// the time it took and not by its size.
func TestFloodOfRefusalsIsCountedToTheLast(t *testing.T) {
	t.Parallel()
	b := newBed(t, buildTollbook(t))
	s := b.ready(t)
	var left atomic.Int64
	left.Store(floodRequests)
	var flood sync.WaitGroup
	for range floodClients {
		client := newClient(t)
		flood.Go(func() {
			for left.Add(-1) >= 0 {
				if err := refusedOnce(t.Context(), client, s.url+"/jobs"); err != nil {
					t.Errorf("flood: %v", err)
					return
				}
			}
		})
	}
	jobs := 0
	for ; left.Load() > 0; jobs++ {
		b.wantCreated(t)
	}
	flood.Wait()
	s.terminate(t)
	b.judge(t)
	own, counted := refusalsIn(t, b.trail)
	if own+counted != floodRequests {
		t.Errorf("got %d records and %d counted, want %d refusals in all", own, counted, floodRequests)
	}
	if own > floodRequests/4 {
		t.Errorf("got %d records of their own, want most of the flood only counted", own)
	}
	t.Logf("%d jobs beside %d refusals, of which %d have a record", jobs, floodRequests, own)
}

// refusedOnce sends a request without a token, which must get a 401.
func refusedOnce(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var body struct{ Reason string }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusUnauthorized || body.Reason != "token_missing" {
		return fmt.Errorf("got %d %s, want 401 token_missing", res.StatusCode, body.Reason)
	}
	return nil
}

// refusalsIn returns how many refusals have a record, and how many are counted.
func refusalsIn(t *testing.T, trail string) (own, counted int) {
	t.Helper()
	for _, file := range dayFiles(t, trail) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var r struct {
				Phase, Reason string
				Metadata      struct{ Counts map[string]int }
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("a line of the trail is no record: %v", err)
			}
			switch {
			case r.Phase != "refused":
			case r.Reason == "summary":
				counted += r.Metadata.Counts["token_missing"]
			default:
				own++
			}
		}
	}
	return own, counted
}
