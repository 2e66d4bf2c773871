package audit

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"
)

// An Exchange is a request that is recorded as received and not yet as closed.
// [Log.Begin] makes it; its owner calls End once the outcome is known. Safe for
// concurrent use.
type Exchange struct {
	log      *Log
	received *Record
	seq      int64
	once     sync.Once
	err      error
}

// A Result says what came of a request. Zero values are unknown.
type Result struct {
	Outcome        Outcome // must be set
	Reason         string  // of a reply that is ours
	JobID, Status  string  // each counts only if the path did not name it
	HTTPStatus     int     // what the client was sent
	UpstreamStatus int     // what we received
	Duration       time.Duration
	Req, Res       *Body
	// Metadata stands beside what the received record has; of two members of a
	// name this one counts.
	Metadata Object
}

// End records the outcome and returns when that is durable. Only the first call
// counts; the others return what it returned, when it has. After an error the
// client must not get the whole reply. If the record was written after all, a
// reply_withheld record follows it; if it could not be, it is written when it
// can be, and otherwise the next start closes the exchange as interrupted.
func (x *Exchange) End(res Result) error {
	x.once.Do(func() { x.err = x.end(res) })
	return x.err
}

func (x *Exchange) end(res Result) error {
	e, err := x.log.submit(x.closing(res))
	if err != nil {
		return err
	}
	return x.log.wait(context.Background(), e)
}

// Seq returns the seq of the received record.
func (x *Exchange) Seq() int64 { return x.seq }

// closing makes the completed record.
func (x *Exchange) closing(res Result) *Record {
	r := closeOf(x.received, x.seq, Completed)
	r.Outcome, r.Reason = res.Outcome, res.Reason
	r.JobID, r.Status = cmp.Or(r.JobID, res.JobID), cmp.Or(r.Status, res.Status)
	r.HTTPStatus, r.UpstreamStatus = int64(res.HTTPStatus), int64(res.UpstreamStatus)
	r.DurationUS = int64((res.Duration + time.Microsecond - 1) / time.Microsecond)
	r.Req, r.Res = res.Req, res.Res
	r.Metadata = r.Metadata.with(res.Metadata)
	return r
}

// closeOf makes a record that closes received: it repeats the always-present
// fields, method and path.
func closeOf(received *Record, seq int64, phase Phase) *Record {
	return &Record{
		EventType: received.EventType, JobID: received.JobID, Status: received.Status,
		UserID: received.UserID, UserEmail: received.UserEmail,
		TokenIAT: received.TokenIAT, IPAddress: received.IPAddress,
		SessionID: received.SessionID, Metadata: received.Metadata, RequestID: received.RequestID,
		Method: received.Method, Path: received.Path,
		ActorID: received.ActorID, ActorSessionID: received.ActorSessionID,
		Phase: phase, ReceivedSeq: seq, Truncated: repeatedCuts(received.Truncated),
	}
}

// repeatedCuts returns the cuts of the texts that closeOf repeats.
func repeatedCuts(cuts []Cut) []Cut {
	var repeated []Cut
	for _, c := range cuts {
		switch c.Field {
		case "event_type", "job_id", "user_id", "user_email", "ip_address", "session_id",
			"alcoa_attributable", "request_id", "http_method", "http_path", "actor_id",
			"actor_session_id":
			repeated = append(repeated, c)
		default:
			if strings.HasPrefix(c.Field, "metadata.") {
				repeated = append(repeated, c)
			}
		}
	}
	return repeated
}

// Why nobody waits for a received record any more.
const (
	reasonUnavailable = "audit_unavailable" // MaxWait passed
	reasonAborted     = "client_aborted"    // the caller's context ended
)

// notForwarded closes a request whose received record came too late.
func notForwarded(received *Record, seq int64, reason string) *Record {
	r := closeOf(received, seq, Completed)
	r.Outcome, r.Reason = NotForwarded, reason
	return r
}
