package audit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// The day of the golden trails; their clocks stand still until they are moved.
const goldenMorning = "2026-03-01T09:30:00Z"

// goldenMakers make the golden trails in an empty folder of their own. Ids and
// keys are random: what they made once is what is committed.
var goldenMakers = map[string]func(t *testing.T, dir string){
	"one-day":          makeOneDay,
	"three-days":       makeThreeDays,
	"rotated":          makeRotated,
	"truncated-fields": makeTruncatedFields,
	"unknown-field":    makeUnknownField,
}

func goldenSubmit() *audit.Record {
	return &audit.Record{
		EventType: "submit", UserID: "user_2aZ", UserEmail: "ada@example.com", TokenIAT: 1772357390,
		SessionID: "sess_2aZ", IPAddress: "192.0.2.7", RequestID: "req-submit", PeerIP: "192.0.2.7",
		Method: "POST", Host: "jobs.example.com", Proto: "HTTP/1.1", Path: "/v1/jobs",
		TokenSHA256: strings.Repeat("5e", 32), JWTID: "jti-1", KeyID: "ins_1", AZP: "https://app.example.com",
		OrgID: "org_1", FVA: []int64{3, -1}, UserAgent: "curl/8.5.0", ChangeReason: "a batch for the auditors",
		Metadata: audit.Object{{Name: "token_exp", Value: audit.Int(1772357450)}},
	}
}

// goldenHostile has in its texts what breaks lines, terminals and decoders.
func goldenHostile() *audit.Record {
	return &audit.Record{
		UserID: "user_2aZ", RequestID: "req-hostile", IPAddress: "2001:db8::1", Method: "GET",
		Path: "/v1/jobs/%0A\x1b]0;owned\x07\u202e", Query: "a=\n{\"seq\":1}\r\n&b=\xff\xfe&c=\U0001f4a5",
		UserAgent: "\x00\x7f\u0085\u2028\ufffd\xed\xa0\x80", ClientRequestID: `"\/`,
		Metadata: audit.Object{{Name: "fields", Value: audit.Nested(audit.Object{
			{Name: "job\n\x1b[2J", Value: audit.String("\xc0\xaf\ufeff")},
		})}},
	}
}

func makeOneDay(t *testing.T, dir string) {
	t.Helper()
	clock, free := newClock(goldenMorning), int64(1<<30)
	tr := start(t, dir, at(clock), func(cfg *audit.Config) {
		cfg.MinFree = 1 << 20
		*cfg = audit.WithFreeBytes(*cfg, func() (int64, error) { return free, nil })
		cfg.Start = audit.Object{{Name: "version", Value: audit.String("golden")}}
	})
	x := tr.beginRecord(goldenSubmit())
	clock.Add(1234567 * time.Microsecond)
	tr.endWith(x, audit.Result{
		Outcome: audit.OK, JobID: "job_1", Status: "pending", HTTPStatus: 201, UpstreamStatus: 201,
		Duration: 1234567 * time.Microsecond, Req: &audit.Body{Bytes: 1, SHA256: sum, Complete: true},
		Res: &audit.Body{Bytes: 1, SHA256: sum, Complete: true},
	})
	list := request("req-list")
	list.EventType = "list"
	tr.end(tr.beginRecord(list))
	tr.Refuse(&audit.Record{
		EventType: audit.EventAuthFailure, Reason: "token_expired", HTTPStatus: 401, RequestID: "req-refused",
		IPAddress: "198.51.100.9", Method: "GET", Path: "/v1/jobs",
	})
	tr.tick()
	tr.endWith(tr.beginRecord(goldenHostile()), audit.Result{Outcome: audit.ClientAborted})
	free = 0 // the ticks order this: refusals are only counted while there is no room
	tr.tick()
	for range 3 {
		tr.Refuse(&audit.Record{Reason: "audit_unavailable", HTTPStatus: 503, IPAddress: "198.51.100.9"})
	}
	free = 1 << 30
	tr.tick()
	tr.stop()
}

func (tr *trail) beginRecord(r *audit.Record) *audit.Exchange {
	tr.t.Helper()
	x, err := tr.Begin(tr.t.Context(), r)
	if err != nil {
		tr.t.Fatalf("Begin: %v", err)
	}
	return x
}

func (tr *trail) endWith(x *audit.Exchange, res audit.Result) {
	tr.t.Helper()
	if err := x.End(res); err != nil {
		tr.t.Fatalf("End: %v", err)
	}
}

// Over two midnights with an open request each; the first run is killed with a
// line half written, and the next closes what it left.
func makeThreeDays(t *testing.T, dir string) {
	t.Helper()
	clock := newClock("2026-03-01T23:59:59Z")
	tr := start(t, filepath.Join(t.TempDir(), "killed"), at(clock))
	over := tr.begin("over-midnight")
	tr.end(tr.begin("r1"))
	clock.Add(2 * time.Second)
	tr.end(over)
	tr.begin("left-open-1")
	tr.begin("left-open-2")
	tr.tick()
	if err := os.CopyFS(dir, os.DirFS(tr.Dir)); err != nil {
		t.Fatal(err)
	}
	tr.stop()
	goldenModes(t, dir)
	if err := appendTo(newest(t, dir), `{"timestamp":"2026-03-02T00:00:01.0`); err != nil {
		t.Fatal(err)
	}
	tr = start(t, dir, at(clock))
	over = tr.begin("over-midnight-too")
	clock.Add(24 * time.Hour)
	tr.end(over)
	tr.end(tr.begin("r2"))
	tr.stop()
}

// goldenModes gives a copied folder the modes that a log's has.
func goldenModes(t *testing.T, dir string) {
	t.Helper()
	for name := range contents(t, dir) {
		if err := os.Chmod(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}

func makeRotated(t *testing.T, dir string) {
	t.Helper()
	clock := newClock(goldenMorning)
	tr := start(t, dir, at(clock))
	tr.end(tr.begin("before"))
	tr.stop()
	cfg := audit.Config{Dir: dir}
	at(clock)(&cfg)
	if _, _, err := audit.RotateKey(t.Context(), cfg, audit.SigningKey{}); err != nil {
		t.Fatalf("RotateKey: %v", err)
	}
	clock.Add(24 * time.Hour)
	tr = start(t, dir, at(clock))
	tr.end(tr.begin("after"))
	tr.stop()
}

func makeTruncatedFields(t *testing.T, dir string) {
	t.Helper()
	tr := start(t, dir, at(newClock(goldenMorning)))
	r := goldenSubmit()
	r.Path = "/" + strings.Repeat("\xff", 20<<10)
	r.Metadata = audit.Object{{Name: "filename", Value: audit.String(strings.Repeat("é", 20<<10))}}
	tr.end(tr.beginRecord(r))
	tr.stop()
}

// A later writer's line: a reader keeps and hashes the field that it does not
// know.
func makeUnknownField(t *testing.T, dir string) {
	t.Helper()
	tr := start(t, dir, at(newClock(goldenMorning)))
	tr.end(tr.begin("r1"))
	tr.stop()
	f := newForger(t, dir)
	f.replace(newest(t, dir), 3, `"phase":"received","request_id":"r1"`,
		`"phase":"received","request_id":"r1","a_later_field":{"a":[1,null]}`)
	f.rechain()
	f.resign()
}
