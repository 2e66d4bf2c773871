package audit

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// refusalBudget is how many refusals a second get a record of their own, of
// those with a verified user and of those without. The others are counted.
const refusalBudget = 100

// reasonSummary is the reason of a record that tells of counted refusals.
const reasonSummary = "summary"

// What a summary holds at the most.
const (
	maxTopIPs     = 10
	maxTrackedIPs = 1024
)

// A refusals counts what has no record of its own. Safe for concurrent use.
type refusals struct {
	mu     sync.Mutex
	second int64
	used   map[bool]int // by whether the user is verified
	counts map[string]*tally
}

// A tally counts the refusals of one event type since the last summary.
type tally struct {
	from, to time.Time
	reasons  map[string]int64
	ips      map[string]int64
}

func (f *refusals) init() {
	f.used = make(map[bool]int)
	f.counts = make(map[string]*tally)
}

// Refuse records a request that was answered by us alone, without waiting for
// the disk: r has its reason and status, and the user only if the token's
// signature and issuer were good. Beyond 100 a second of those with a user, and
// as many of those without, refusals are counted, and the counts written once a
// second. A crash may lose the current second.
func (l *Log) Refuse(r *Record) {
	rec := asked(r, Refused)
	now := l.Now()
	if !l.refusals.spend(now, rec.UserID != "") {
		l.refusals.count(rec, now)
		return
	}
	e, err := l.newEntry(rec)
	if err != nil {
		l.refusals.count(rec, now)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed() != nil || l.enqueue(e) != nil {
		l.refusals.count(rec, now)
	}
}

// spend reports whether there is budget left in this second, and takes of it.
func (f *refusals) spend(now time.Time, verified bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if second := now.Unix(); second != f.second {
		f.second = second
		clear(f.used)
	}
	if f.used[verified] >= refusalBudget {
		return false
	}
	f.used[verified]++
	return true
}

func (f *refusals) count(r *Record, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.counts[r.EventType]
	if t == nil {
		t = &tally{from: now, reasons: make(map[string]int64), ips: make(map[string]int64)}
		f.counts[r.EventType] = t
	}
	t.to = now
	t.reasons[r.Reason]++
	if _, tracked := t.ips[r.IPAddress]; tracked || len(t.ips) < maxTrackedIPs {
		t.ips[r.IPAddress]++
	}
}

// take returns what was counted since the last call, by event type.
func (f *refusals) take() map[string]*tally {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.counts) == 0 {
		return nil
	}
	counts := f.counts
	f.counts = make(map[string]*tally)
	return counts
}

// summaries makes the records of what was counted, one for each event type.
func (l *Log) summaries() []*entry {
	counts := l.refusals.take()
	entries := make([]*entry, 0, len(counts))
	for _, eventType := range slices.Sorted(maps.Keys(counts)) {
		r := &Record{
			EventType: eventType, Phase: Refused, Reason: reasonSummary,
			Metadata: counts[eventType].metadata(),
		}
		if e, err := l.newEntry(r); err == nil { // its size is bounded: it fits
			entries = append(entries, e)
		}
	}
	return entries
}

func (t *tally) metadata() Object {
	reasons := make(Object, 0, len(t.reasons))
	for _, reason := range slices.Sorted(maps.Keys(t.reasons)) {
		reasons = append(reasons, Member{reason, Int(t.reasons[reason])})
	}
	return Object{
		{"counts", Nested(reasons)},
		{"from", String(string(appendTime(nil, t.from)))},
		{"to", String(string(appendTime(nil, t.to)))},
		{"top_ips", t.topIPs()},
	}
}

// topIPs lists the addresses with the most refusals, of the first ones seen.
func (t *tally) topIPs() Value {
	ips := slices.SortedFunc(maps.Keys(t.ips), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.ips[b], t.ips[a]), cmp.Compare(a, b))
	})
	top := make([]Value, 0, maxTopIPs)
	for _, ip := range ips[:min(len(ips), maxTopIPs)] {
		top = append(top, Nested(Object{{"count", Int(t.ips[ip])}, {"ip", String(ip)}}))
	}
	return List(top...)
}
