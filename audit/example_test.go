package audit_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"tollbook/audit"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "trail")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	trail, err := audit.Open(audit.Config{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	exchange, err := trail.Begin(ctx, &audit.Record{
		EventType: "submit", UserID: "user_1", Method: "POST", Path: "/jobs", RequestID: "r1",
	})
	if err != nil {
		log.Fatal(err) // nothing may be forwarded
	}
	// The request is on disk: now it may be forwarded.
	if err := exchange.End(audit.Result{Outcome: audit.OK, JobID: "j1", HTTPStatus: 201}); err != nil {
		log.Fatal(err) // the client must not get the whole reply
	}
	if err := trail.Close(); err != nil {
		log.Fatal(err)
	}
	report, err := audit.Verify(ctx, dir, audit.VerifyConfig{})
	fmt.Println(report.Records, "records,", len(report.Open), "open, error:", err)
	// Output: 5 records, 0 open, error: <nil>
}
