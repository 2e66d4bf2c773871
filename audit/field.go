package audit

// A field is one name of the record: how it is written and how it is read. The
// order of the table is the order on the line.
type field struct {
	name string
	codec
}

// A codec writes and reads the value of a field. known reports whether the
// record has one: an always-present field that is not known is written as null,
// another is left out.
type codec interface {
	known(r *Record) bool
	append(dst []byte, r *Record) []byte
	parse(s *scanner, r *Record) error
}

// alwaysPresent is how many fields at the start of the table every record has.
const alwaysPresent = 20

// The always-present fields that only the writer knows: their places in the
// table. What lies between them is encoded by the caller (encode.go).
const (
	fieldTimestamp = 0
	fieldContemp   = 11
	fieldLogID     = 16
)

var fields = []field{
	{"timestamp", timestampField{}},
	{"event_type", text(func(r *Record) *string { return &r.EventType })},
	{"job_id", text(func(r *Record) *string { return &r.JobID })},
	{"status", text(func(r *Record) *string { return &r.Status })},
	{"user_id", text(func(r *Record) *string { return &r.UserID })},
	{"user_email", text(func(r *Record) *string { return &r.UserEmail })},
	{"token_iat", number(func(r *Record) *int64 { return &r.TokenIAT })},
	{"ip_address", text(func(r *Record) *string { return &r.IPAddress })},
	{"session_id", text(func(r *Record) *string { return &r.SessionID })},
	{"metadata", metadataField{}},
	{"alcoa_attributable", text(func(r *Record) *string { return &r.Attributable })},
	{"alcoa_contemporaneous", contemporaneousField{}},
	{"alcoa_original", originalField{}},
	{"v", versionField{}},
	{"seq", number(func(r *Record) *int64 { return &r.Seq })},
	{"prev_hash", hash(func(r *Record) *Hash { return &r.PrevHash })},
	{"log_id", text(func(r *Record) *string { return &r.LogID })},
	{"boot_id", text(func(r *Record) *string { return &r.BootID })},
	{"phase", text(func(r *Record) *string { return (*string)(&r.Phase) })},
	{"request_id", text(func(r *Record) *string { return &r.RequestID })},

	{"received_seq", number(func(r *Record) *int64 { return &r.ReceivedSeq })},
	{"outcome", text(func(r *Record) *string { return (*string)(&r.Outcome) })},
	{"reason", text(func(r *Record) *string { return &r.Reason })},
	{"change_reason", text(func(r *Record) *string { return &r.ChangeReason })},
	{"actor_id", text(func(r *Record) *string { return &r.ActorID })},
	{"actor_session_id", text(func(r *Record) *string { return &r.ActorSessionID })},
	{"client_request_id", text(func(r *Record) *string { return &r.ClientRequestID })},
	{"http_method", text(func(r *Record) *string { return &r.Method })},
	{"http_host", text(func(r *Record) *string { return &r.Host })},
	{"http_proto", text(func(r *Record) *string { return &r.Proto })},
	{"http_path", text(func(r *Record) *string { return &r.Path })},
	{"http_query", text(func(r *Record) *string { return &r.Query })},
	{"http_status", number(func(r *Record) *int64 { return &r.HTTPStatus })},
	{"upstream_status", number(func(r *Record) *int64 { return &r.UpstreamStatus })},
	{"duration_us", number(func(r *Record) *int64 { return &r.DurationUS })},
	{"req_bytes", bodyBytes(func(r *Record) **Body { return &r.Req })},
	{"req_sha256", bodyHash(func(r *Record) **Body { return &r.Req })},
	{"req_complete", bodyComplete(func(r *Record) **Body { return &r.Req })},
	{"res_bytes", bodyBytes(func(r *Record) **Body { return &r.Res })},
	{"res_sha256", bodyHash(func(r *Record) **Body { return &r.Res })},
	{"res_complete", bodyComplete(func(r *Record) **Body { return &r.Res })},
	{"peer_ip", text(func(r *Record) *string { return &r.PeerIP })},
	{"token_sha256", text(func(r *Record) *string { return &r.TokenSHA256 })},
	{"jti", text(func(r *Record) *string { return &r.JWTID })},
	{"kid", text(func(r *Record) *string { return &r.KeyID })},
	{"azp", text(func(r *Record) *string { return &r.AZP })},
	{"org_id", text(func(r *Record) *string { return &r.OrgID })},
	{"fva", fvaField{}},
	{"user_agent", text(func(r *Record) *string { return &r.UserAgent })},
	{"truncated", truncatedField{}},
}

// keys holds what stands on the line before the value of each field: the comma
// that ends the field before it, its name and the colon.
var keys = fieldKeys()

func fieldKeys() []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = `,"` + f.name + `":`
	}
	keys[fieldTimestamp] = "{" + keys[fieldTimestamp][1:]
	return keys
}

// twinKey is the key of the base64 twin of the field at place i.
func twinKey(i int) string { return `,"` + fields[i].name + twinSuffix + `":` }
