package audit

import "time"

// A Query says which records are wanted. The zero value of a field is "any", and
// a record must meet all fields.
type Query struct {
	User    string    // the user_id or the actor_id, exactly
	Job     string    // the job_id, exactly
	Event   string    // the event_type, exactly
	From    time.Time // the earliest timestamp
	To      time.Time // the first timestamp that is too late
	Outcome Outcome
	Phase   Phase
}

// Match reports whether r is wanted.
func (q Query) Match(r *Record) bool {
	switch {
	case q.User != "" && r.UserID != q.User && r.ActorID != q.User,
		q.Job != "" && r.JobID != q.Job,
		q.Event != "" && r.EventType != q.Event,
		q.Outcome != "" && r.Outcome != q.Outcome,
		q.Phase != "" && r.Phase != q.Phase,
		!q.From.IsZero() && r.Timestamp.Before(q.From),
		!q.To.IsZero() && !r.Timestamp.Before(q.To):
		return false
	}
	return true
}

// reaches reports whether the day file called name may hold a wanted record: none
// is younger than its file's day. There is no such bound for To, since the day of
// writing never goes back and a clock may.
func (q Query) reaches(name string) bool {
	return q.From.IsZero() || dayOfFile(name) >= dayOf(q.From)
}

// Phases returns all phases in the order in which a request may have them.
func Phases() []Phase { return []Phase{Received, Completed, Interrupted, Refused, System} }

// Outcomes returns all outcomes that a record may have.
func Outcomes() []Outcome {
	return []Outcome{OK, NotForwarded, UpstreamError, Timeout, ClientAborted, Rejected}
}
