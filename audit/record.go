package audit

import "time"

// Version is the format's version, the `v` of every record. A reader refuses a
// record of another one.
const Version = 1

// MaxLine is the length of the longest line in bytes, its newline counted.
const MaxLine = 32 << 10

// A Phase says which of its moments a record tells of.
type Phase string

// The phases. Each `received` is closed by exactly one `completed` or
// `interrupted`.
const (
	Received    Phase = "received"    // asked, not yet forwarded
	Completed   Phase = "completed"   // what came of it
	Interrupted Phase = "interrupted" // left open by a run that died
	Refused     Phase = "refused"     // answered by us alone
	System      Phase = "system"      // of the trail itself
)

// An Outcome says what became of a forwarded request.
type Outcome string

// The outcomes of a `completed` record.
const (
	OK            Outcome = "ok"             // relayed to its end, whatever its status
	NotForwarded  Outcome = "not_forwarded"  // no byte of it left for the upstream
	UpstreamError Outcome = "upstream_error" // the upstream failed on the way
	Timeout       Outcome = "timeout"        // the upstream took too long
	ClientAborted Outcome = "client_aborted" // the client left
	Rejected      Outcome = "rejected"       // cut by us on the way
)

// Event types that no route may be called.
const (
	EventRequest     = "request"      // a route without a name
	EventAuthFailure = "auth_failure" // our 401 and 403
	EventSystem      = "system"       // system records
)

// A Body tells of one direction of an exchange.
type Body struct {
	Bytes    int64 // how many were seen
	SHA256   Hash  // of exactly these
	Complete bool  // whether the end was reached
}

// A Cut tells of a text that was too long for its line.
type Cut struct {
	Field  string // the record's field; of metadata with its path
	Bytes  int64  // length of the whole text
	SHA256 Hash   // of the whole text
}

// A Record is one line of the trail. The package comment has the format and what
// each field means; here the zero value of a field is "unknown", which is
// written as null (the always-present fields) or not at all (the others).
//
// Texts hold the bytes as they came, whether UTF-8 or not.
type Record struct {
	Timestamp    time.Time // UTC, microseconds
	EventType    string
	JobID        string
	Status       string
	UserID       string
	UserEmail    string
	TokenIAT     int64 // Unix seconds
	IPAddress    string
	SessionID    string
	Metadata     Object
	Attributable string
	Derived      bool // alcoa_original is its opposite
	Seq          int64
	PrevHash     Hash
	LogID        string // 32 lower-case hex digits
	BootID       string // 32 lower-case hex digits
	Phase        Phase
	RequestID    string

	ReceivedSeq     int64
	Outcome         Outcome
	Reason          string
	ChangeReason    string
	ActorID         string
	ActorSessionID  string
	ClientRequestID string
	Method          string
	Host            string
	Proto           string
	Path            string // escaped, as sent
	Query           string // as sent, masked
	HTTPStatus      int64
	UpstreamStatus  int64
	DurationUS      int64 // microseconds
	Req             *Body
	Res             *Body
	PeerIP          string
	TokenSHA256     string // hex
	JWTID           string
	KeyID           string
	AZP             string
	OrgID           string
	FVA             []int64 // minutes since the factors were verified; -1 is never
	UserAgent       string
	Truncated       []Cut

	// Unknown holds the fields of a parsed record that this version does not
	// know, each as its raw JSON. They are not written by us.
	Unknown []RawField
}

// A RawField is a field that this version does not know.
type RawField struct {
	Name string
	JSON string
}

// attribute fills Attributable from the fields that say who acted, so that it
// can't contradict them.
func (r *Record) attribute() {
	switch {
	case r.UserID != "" && r.ActorID != "":
		r.Attributable = r.ActorID + " acting as " + r.UserID
	case r.UserID != "" && r.UserEmail != "":
		r.Attributable = r.UserID + " (" + r.UserEmail + ")"
	default:
		r.Attributable = r.UserID
	}
}
