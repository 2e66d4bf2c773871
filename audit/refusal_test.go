package audit_test

import (
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"tollbook/audit"
)

func refusal(user, why, ip string) *audit.Record {
	return &audit.Record{
		EventType: audit.EventAuthFailure, UserID: user, Reason: why, HTTPStatus: 401, IPAddress: ip,
	}
}

// counted returns what the trail in dir says of refusals: how many have a record
// of their own, by reason, and how many are counted.
func counted(t *testing.T, dir string) (own, sums map[string]int64) {
	t.Helper()
	own, sums = make(map[string]int64), make(map[string]int64)
	for _, r := range where(records(t, dir), phase(audit.Refused)) {
		if r.Reason != "summary" {
			own[r.Reason]++
			continue
		}
		counts, _ := r.Metadata.Get("counts")
		for _, m := range counts.Object() {
			n, _ := m.Value.Int64()
			sums[m.Name] += n
		}
	}
	return own, sums
}

func TestRefusalsBeyondTheBudgetAreCountedExactly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	const flood = 5000
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range flood / 8 {
				tr.Refuse(refusal("", "token_missing", "192.0.2."+strconv.Itoa(i%3)))
				if i%200 == 0 {
					tr.ticks <- time.Time{}
				}
			}
		})
	}
	wg.Wait()
	tr.stop()
	verify(t, dir)
	own, sums := counted(t, dir)
	if own["token_missing"] != audit.RefusalBudget {
		t.Errorf("got %d records, want the budget of %d", own["token_missing"], audit.RefusalBudget)
	}
	if got := own["token_missing"] + sums["token_missing"]; got != flood {
		t.Errorf("got %d refusals in all, want %d", got, flood)
	}
}

func TestVerifiedUsersHaveABudgetOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	tr := start(t, dir, at(clock))
	for range 3 * audit.RefusalBudget {
		tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
	}
	for range audit.RefusalBudget {
		tr.Refuse(refusal("user_1", "impersonation", "192.0.2.2"))
	}
	clock.Add(time.Second) // another second, another budget
	tr.Refuse(refusal("", "token_expired", "192.0.2.1"))
	tr.stop()
	own, sums := counted(t, dir)
	wantOwn := map[string]int64{
		"token_missing": audit.RefusalBudget, "impersonation": audit.RefusalBudget, "token_expired": 1,
	}
	wantSums := map[string]int64{"token_missing": 2 * audit.RefusalBudget}
	if !reflect.DeepEqual(own, wantOwn) || !reflect.DeepEqual(sums, wantSums) {
		t.Errorf("got %v and counts %v, want %v and %v", own, sums, wantOwn, wantSums)
	}
}

func TestASummaryTellsWhenWhyAndFromWhere(t *testing.T) {
	t.Parallel()
	dir, clock := t.TempDir(), newClock(noon)
	tr := start(t, dir, at(clock))
	for range audit.RefusalBudget {
		tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
	}
	for i := range 30 {
		for range i + 1 {
			tr.Refuse(refusal("", "b_reason", fmt.Sprintf("192.0.2.%d", i)))
		}
	}
	clock.Add(time.Millisecond)
	tr.Refuse(refusal("", "a_reason", "192.0.2.29"))
	other := refusal("", "too_large", "192.0.2.1")
	other.EventType = "submit"
	tr.Refuse(other)
	tr.tick()
	sums := where(records(t, dir), reason("summary"))
	if len(sums) != 2 || sums[0].EventType != audit.EventAuthFailure || sums[1].EventType != "submit" {
		t.Fatalf("got %v, want a summary of auth_failure and one of submit", sums)
	}
	var top []audit.Value
	for i := 29; i >= 20; i-- {
		n := int64(i + 1)
		if i == 29 {
			n++
		}
		top = append(top, audit.Nested(audit.Object{
			{Name: "count", Value: audit.Int(n)},
			{Name: "ip", Value: audit.String(fmt.Sprintf("192.0.2.%d", i))},
		}))
	}
	want := audit.Object{
		{Name: "counts", Value: audit.Nested(audit.Object{
			{Name: "a_reason", Value: audit.Int(1)}, {Name: "b_reason", Value: audit.Int(465)},
		})},
		{Name: "from", Value: audit.String("2026-03-01T12:00:00.000000Z")},
		{Name: "to", Value: audit.String("2026-03-01T12:00:00.001000Z")},
		{Name: "top_ips", Value: audit.List(top...)},
	}
	if !reflect.DeepEqual(sums[0].Metadata, want) {
		t.Errorf("got\n%v\nwant\n%v", sums[0].Metadata, want)
	}
	tr.tick()
	if again := where(records(t, dir), reason("summary")); len(again) != 2 {
		t.Errorf("got %d summaries after a quiet second, want no more than 2", len(again))
	}
}

func TestSummariesAreWrittenUnderLoadToo(t *testing.T) {
	t.Parallel()
	disk, dir := new(disk), t.TempDir()
	tr := start(t, dir, disk.under)
	for range audit.RefusalBudget + 1 {
		tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
	}
	disk.hold()
	pending := []audit.Pending{tr.submit("r0")}
	<-disk.held // from here the queue is never empty
	ticked := make(chan struct{})
	go func() {
		tr.ticks <- time.Time{}
		close(ticked)
	}()
	for done := false; !done; {
		pending = append(pending, tr.submit("r"))
		disk.step()
		select {
		case <-ticked:
			done = true
		case <-disk.held:
		}
	}
	disk.release()
	for _, p := range pending {
		if err := p.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, sums := counted(t, dir); sums["token_missing"] != 1 {
		t.Errorf("got counts %v, want 1 token_missing", sums)
	}
}

func TestRefusalsOfABatchThatFailedAreCounted(t *testing.T) {
	t.Parallel()
	disk, dir := new(disk), t.TempDir()
	tr := start(t, dir, disk.under)
	disk.fail("write", noSpace)
	tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
	tr.tick() // it fails and is still failing
	tr.Refuse(refusal("", "token_missing", "192.0.2.1"))
	disk.heal()
	tr.tick()
	tr.tick()
	if own, sums := counted(t, dir); own["token_missing"] != 0 || sums["token_missing"] != 2 {
		t.Errorf("got %v and counts %v, want 2 counted", own, sums)
	}
}
