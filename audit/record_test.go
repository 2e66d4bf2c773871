package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

var (
	zeros = strings.Repeat("0", 64)
	ids   = strings.Repeat("1", 32)
	sum   = audit.HashLine([]byte("x"))
)

// goldenSmall is the shortest record: nothing is known that may be unknown.
var goldenSmall = `{"timestamp":"2026-03-01T12:00:00.000001Z","event_type":"request","job_id":null,` +
	`"status":null,"user_id":null,"user_email":null,"token_iat":null,"ip_address":null,` +
	`"session_id":null,"metadata":{},"alcoa_attributable":null,` +
	`"alcoa_contemporaneous":"2026-03-01T12:00:00.000001Z","alcoa_original":true,"v":1,"seq":7,` +
	`"prev_hash":"` + zeros + `","log_id":"` + ids + `","boot_id":"` + ids + `",` +
	`"phase":"received","request_id":null}`

func small() *audit.Record {
	return &audit.Record{
		Timestamp: time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC), EventType: "request",
		Seq: 7, LogID: ids, BootID: ids, Phase: audit.Received,
	}
}

// goldenFull has every field.
var goldenFull = `{"timestamp":"2026-03-01T12:00:00.000001Z","event_type":"submit","job_id":"j",` +
	`"status":"pending","user_id":"u","user_email":"e","token_iat":1,"ip_address":"192.0.2.1",` +
	`"session_id":"s","metadata":{"a":[1,null,true,"x"],"b":{"c":-1}},"alcoa_attributable":"u (e)",` +
	`"alcoa_contemporaneous":"2026-03-01T12:00:00.000001Z","alcoa_original":false,"v":1,"seq":7,` +
	`"prev_hash":"` + sum.String() + `","log_id":"` + ids + `","boot_id":"` + ids + `",` +
	`"phase":"completed","request_id":"r","received_seq":6,"outcome":"ok","reason":"why",` +
	`"change_reason":"c","actor_id":"a","actor_session_id":"as","client_request_id":"cr",` +
	`"http_method":"GET","http_host":"h","http_proto":"HTTP/1.1","http_path":"/p","http_query":"q=1",` +
	`"http_status":200,"upstream_status":201,"duration_us":5,"req_bytes":0,` +
	`"req_sha256":"` + sum.String() + `","req_complete":true,"res_bytes":3,` +
	`"res_sha256":"` + sum.String() + `","res_complete":false,"peer_ip":"192.0.2.2",` +
	`"token_sha256":"t","jti":"jt","kid":"k","azp":"z","org_id":"o","fva":[5,-1],"user_agent":"ua",` +
	`"truncated":[{"bytes":9,"field":"http_path","sha256":"` + sum.String() + `"}]}`

func full() *audit.Record {
	r := small()
	r.EventType, r.JobID, r.Status, r.UserID, r.UserEmail = "submit", "j", "pending", "u", "e"
	r.TokenIAT, r.IPAddress, r.SessionID, r.Attributable = 1, "192.0.2.1", "s", "u (e)"
	r.Metadata = audit.Object{
		{Name: "a", Value: audit.List(audit.Int(1), audit.Value{}, audit.Bool(true), audit.String("x"))},
		{Name: "b", Value: audit.Nested(audit.Object{{Name: "c", Value: audit.Int(-1)}})},
	}
	r.Derived, r.PrevHash, r.Phase, r.RequestID = true, sum, audit.Completed, "r"
	r.ReceivedSeq, r.Outcome, r.Reason, r.ChangeReason = 6, audit.OK, "why", "c"
	r.ActorID, r.ActorSessionID, r.ClientRequestID = "a", "as", "cr"
	r.Method, r.Host, r.Proto, r.Path, r.Query = "GET", "h", "HTTP/1.1", "/p", "q=1"
	r.HTTPStatus, r.UpstreamStatus, r.DurationUS = 200, 201, 5
	r.Req = &audit.Body{SHA256: sum, Complete: true}
	r.Res = &audit.Body{Bytes: 3, SHA256: sum}
	r.PeerIP, r.TokenSHA256, r.JWTID, r.KeyID = "192.0.2.2", "t", "jt", "k"
	r.AZP, r.OrgID, r.FVA, r.UserAgent = "z", "o", []int64{5, -1}, "ua"
	r.Truncated = []audit.Cut{{Field: "http_path", Bytes: 9, SHA256: sum}}
	return r
}

func TestRecordIsWrittenToTheByteAndReadBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		record *audit.Record
		line   string
	}{"small": {small(), goldenSmall}, "full": {full(), goldenFull}} {
		if got := string(audit.AppendRecord(nil, c.record)); got != c.line {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.line)
		}
		r, err := audit.Parse([]byte(c.line))
		if err != nil {
			t.Fatalf("%s: Parse: %v", name, err)
		}
		if !reflect.DeepEqual(r, c.record) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", name, r, c.record)
		}
	}
}

// If the record grows a field, the golden line must too.
func TestTheFullGoldenHasNoZeroField(t *testing.T) {
	t.Parallel()
	v := reflect.ValueOf(*full())
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Unknown" {
			t.Errorf("field %s is zero in the full golden record", name)
		}
	}
}

func TestEveryFieldIsLeftOutOrNullWhenUnknown(t *testing.T) {
	t.Parallel()
	var keys map[string]any
	if err := json.Unmarshal([]byte(goldenFull), &keys); err != nil {
		t.Fatal(err)
	}
	line := string(audit.AppendRecord(nil, small()))
	present := 0
	for key := range keys {
		if strings.Contains(line, `"`+key+`":`) {
			present++
		}
	}
	if len(keys) != 50 || present != 20 {
		t.Errorf("got %d fields, %d of them always present; want 50 and 20", len(keys), present)
	}
}

var hostileTexts = map[string]string{
	"newline":          "a\nb\r",
	"quotes":           `"\`,
	"NUL":              "\x00",
	"ESC":              "\x1b[31m",
	"DEL":              "\x7f",
	"C1":               "\u0085\u009b",
	"bidi":             "\u202e\u2066\u200f",
	"line separators":  "\u2028\u2029",
	"replacement":      "\ufffd",
	"astral":           "😀",
	"last":             "\U0010ffff",
	"noncharacter":     "\uffff\ufffe",
	"invalid byte":     "\xff",
	"valid, invalid":   "a\ufffd\xff",
	"cut character":    "\xe2\x82",
	"overlong":         "\xc0\xaf",
	"lone surrogate":   "\xed\xa0\x80",
	"surrogate pair":   "\xed\xa0\xbd\xed\xb8\x80",
	"beyond Unicode":   "\xf4\x90\x80\x80",
	"html":             "<script>&",
	"looks like twin":  "_b64",
	"base64 lengths 1": "\xff1", "base64 lengths 2": "\xff12", "base64 lengths 3": "\xff123",
}

func TestHostileTextIsOneASCIILineAndComesBack(t *testing.T) {
	t.Parallel()
	for name, text := range hostileTexts {
		r := small()
		r.JobID, r.UserAgent, r.Path = text, text, text
		r.Metadata = audit.Object{
			{Name: "n", Value: audit.Nested(audit.Object{{Name: "m", Value: audit.String(text)}})},
			{Name: "x", Value: audit.String(text)},
			{Name: "x_a", Value: audit.Int(1)},
		}
		line := audit.AppendRecord(nil, r)
		if i := bytes.IndexFunc(line, func(c rune) bool { return c < 0x20 || c > 0x7e }); i >= 0 {
			t.Errorf("%s: byte %d of the line is not printable ASCII", name, i)
		}
		got, err := audit.Parse(line)
		if err != nil {
			t.Fatalf("%s: Parse: %v\n%s", name, err, line)
		}
		if got.JobID != text || got.UserAgent != text || got.Path != text {
			t.Errorf("%s: got %q, %q, %q, want %q", name, got.JobID, got.UserAgent, got.Path, text)
		}
		outer, _ := got.Metadata.Get("n")
		for where, o := range map[string]audit.Object{"metadata": got.Metadata, "nested": outer.Object()} {
			member := map[string]string{"metadata": "x", "nested": "m"}[where]
			if v := original(t, o, member); v != text {
				t.Errorf("%s: %s: got %q, want %q", name, where, v, text)
			}
		}
		if again := audit.AppendRecord(nil, got); !bytes.Equal(again, line) {
			t.Errorf("%s: written again\n%s\nwant\n%s", name, again, line)
		}
		var std map[string]any
		if err := json.Unmarshal(line, &std); err != nil {
			t.Errorf("%s: encoding/json: %v", name, err)
		}
	}
}

// original is what a reader does to get at the bytes of a text in metadata.
func original(t *testing.T, o audit.Object, name string) string {
	t.Helper()
	if twin, ok := o.Get(name + "_b64"); ok {
		encoded, _ := twin.Str()
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	v, _ := o.Get(name)
	s, _ := v.Str()
	return s
}

func TestNumbersAtTheirLimitsComeBack(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{math.MinInt64, -1, 1, math.MaxInt64 - 7, math.MaxInt64} {
		r := small()
		r.TokenIAT, r.Metadata = n, audit.Object{{Name: "n", Value: audit.Int(n)}}
		got, err := audit.Parse(audit.AppendRecord(nil, r))
		if err != nil {
			t.Errorf("%d: Parse: %v", n, err)
		} else if !reflect.DeepEqual(got, r) {
			t.Errorf("got %+v, want %+v", got, r)
		}
	}
}

func TestNamesInMetadataAreWrittenOnceAndInOrder(t *testing.T) {
	t.Parallel()
	r := small()
	r.Metadata = audit.Object{
		{Name: "b", Value: audit.Int(1)},
		{Name: "a", Value: audit.Int(2)},
		{Name: "b", Value: audit.Int(3)},
		{Name: "x", Value: audit.String("\xff")},
		{Name: "x_b64", Value: audit.String("y")},
		{Name: "\xff", Value: audit.Int(4)},
		{Name: "\xfe", Value: audit.Int(5)},
	}
	line := audit.AppendRecord(nil, r)
	want := `"metadata":{"a":2,"b":3,"x":"\ufffd","x_b64":"y","\ufffd":5}`
	if !strings.Contains(string(line), want) {
		t.Errorf("got %s, want in it %s", line, want)
	}
	if _, err := audit.Parse(line); err != nil {
		t.Errorf("Parse: %v", err)
	}
}

func TestParseRefusesEveryOtherWayToWrite(t *testing.T) {
	t.Parallel()
	swap := func(from, to string) string { return strings.Replace(goldenFull, from, to, 1) }
	if goldenFull == swap(`"job_id":"j"`, "") {
		t.Fatal("the golden line has changed: the cases do nothing")
	}
	for name, line := range map[string]string{
		"nothing":              "",
		"not an object":        "[]",
		"empty object":         "{}",
		"no end":               goldenFull[:len(goldenFull)-1],
		"trailing space":       goldenFull + " ",
		"trailing record":      goldenFull + goldenFull,
		"carriage return":      goldenFull + "\r",
		"newline":              goldenFull + "\n",
		"byte order mark":      "\ufeff" + goldenFull,
		"leading space":        " " + goldenFull,
		"space after colon":    swap(`"job_id":"j"`, `"job_id": "j"`),
		"space after comma":    swap(`,"job_id"`, `, "job_id"`),
		"space in metadata":    swap(`{"c":-1}`, `{ "c":-1}`),
		"leading comma":        "{," + goldenFull[1:],
		"trailing comma":       goldenFull[:len(goldenFull)-1] + ",}",
		"doubled field":        swap(`"job_id":"j",`, `"job_id":"j","job_id":"j",`),
		"doubled later field":  swap(`"reason":"why",`, `"reason":"why","reason":"why",`),
		"doubled at the end":   goldenFull[:len(goldenFull)-1] + `,"reason":"why"}`,
		"missing field":        swap(`"job_id":"j",`, ``),
		"wrong order":          swap(`"job_id":"j","status":"pending"`, `"status":"pending","job_id":"j"`),
		"wrong later order":    swap(`"actor_id":"a","actor_session_id":"as"`, `"actor_session_id":"as","actor_id":"a"`),
		"unknown early":        swap(`"job_id":"j",`, `"job_id":"j","new":1,`),
		"unknown version":      swap(`"v":1`, `"v":2`),
		"version 0":            swap(`"v":1`, `"v":0`),
		"version as text":      swap(`"v":1`, `"v":"1"`),
		"needless escape":      swap(`"j"`, `"\u006a"`),
		"escaped quote":        swap(`"j"`, `"\u0022"`),
		"escaped slash":        swap(`"/p"`, `"\/p"`),
		"short escape":         swap(`"j"`, `"\n"`),
		"upper-case escape":    swap(`"j"`, `"\u000A"`),
		"cut escape":           swap(`"j"`, `"\u00"`),
		"unknown escape":       swap(`"j"`, `"\x41"`),
		"lone high surrogate":  swap(`"j"`, `"\ud83d"`),
		"high, high":           swap(`"j"`, `"\ud83d\ud83d"`),
		"high, letter":         swap(`"j"`, `"\ud83d\u00e9"`),
		"lone low surrogate":   swap(`"j"`, `"\ude00"`),
		"raw UTF-8":            swap(`"j"`, `"é"`),
		"raw tab":              swap(`"j"`, "\"\t\""),
		"raw DEL":              swap(`"j"`, "\"\x7f\""),
		"raw NUL":              swap(`"j"`, "\"\x00\""),
		"raw invalid":          swap(`"j"`, "\"\xff\""),
		"string without end":   goldenFull[:strings.Index(goldenFull, `j"`)+1],
		"leading zero":         swap(`"seq":7`, `"seq":07`),
		"exponent":             swap(`"seq":7`, `"seq":1e3`),
		"float":                swap(`"seq":7`, `"seq":7.0`),
		"plus":                 swap(`"seq":7`, `"seq":+7`),
		"minus zero":           swap(`{"c":-1}`, `{"c":-0}`),
		"minus alone":          swap(`{"c":-1}`, `{"c":-}`),
		"zero":                 swap(`"token_iat":1`, `"token_iat":0`),
		"64 bits and one":      swap(`"token_iat":1`, `"token_iat":9223372036854775808`),
		"below 64 bits":        swap(`"token_iat":1`, `"token_iat":-9223372036854775809`),
		"float in metadata":    swap(`{"c":-1}`, `{"c":1.5}`),
		"seq 0":                swap(`"seq":7`, `"seq":0`),
		"seq negative":         swap(`"seq":7`, `"seq":-7`),
		"seq null":             swap(`"seq":7`, `"seq":null`),
		"empty string":         swap(`"job_id":"j"`, `"job_id":""`),
		"empty later string":   swap(`"reason":"why"`, `"reason":""`),
		"later null":           swap(`"reason":"why"`, `"reason":null`),
		"later 0":              swap(`"http_status":200`, `"http_status":0`),
		"upper-case hash":      swap(sum.String(), strings.ToUpper(sum.String())),
		"short hash":           swap(sum.String(), sum.String()[:63]),
		"long hash":            swap(sum.String(), sum.String()+"0"),
		"not a hash":           swap(sum.String(), strings.Repeat("g", 64)),
		"null hash":            swap(`"`+sum.String()+`"`, `null`),
		"upper-case id":        swap(ids, strings.Repeat("A", 32)),
		"short id":             swap(ids, ids[:31]),
		"null id":              swap(`"`+ids+`"`, `null`),
		"time without zone":    strings.ReplaceAll(goldenFull, "000001Z", "000001"),
		"time with offset":     strings.ReplaceAll(goldenFull, "000001Z", "000001+00:00"),
		"time with comma":      strings.ReplaceAll(goldenFull, ".000001Z", ",000001Z"),
		"time, five decimals":  strings.ReplaceAll(goldenFull, "000001Z", "00001Z"),
		"time, no such day":    strings.ReplaceAll(goldenFull, "03-01T", "02-30T"),
		"times differ":         swap("000001Z", "000002Z"),
		"metadata null":        swap(`{"a":[1,null,true,"x"],"b":{"c":-1}}`, `null`),
		"metadata list":        swap(`{"a":[1,null,true,"x"],"b":{"c":-1}}`, `[]`),
		"metadata order":       swap(`{"c":-1}`, `{"d":1,"c":-1}`),
		"metadata doubled":     swap(`{"c":-1}`, `{"c":1,"c":-1}`),
		"metadata comma":       swap(`{"c":-1}`, `{"c":-1,}`),
		"metadata list comma":  swap(`[1,null`, `[1,,null`),
		"metadata too deep":    swap(`{"c":-1}`, strings.Repeat("[", 50)+strings.Repeat("]", 50)),
		"twin of valid text":   swap(`"job_id":"j",`, `"job_id":"j","job_id_b64":"ag==",`),
		"twin that differs":    swap(`"job_id":"j",`, `"job_id":"j","job_id_b64":"/w==",`),
		"twin of null":         swap(`"job_id":"j",`, `"job_id":null,"job_id_b64":"/w==",`),
		"twin alone":           swap(`"job_id":"j",`, `"job_id_b64":"/w==",`),
		"twin not base64":      swap(`"job_id":"j",`, `"job_id":"\ufffd","job_id_b64":"!!!!",`),
		"twin with newline":    swap(`"job_id":"j",`, `"job_id":"\ufffd","job_id_b64":"/w\u000a==",`),
		"twin, loose bits":     swap(`"job_id":"j",`, `"job_id":"\ufffd","job_id_b64":"/x==",`),
		"twin, no padding":     swap(`"job_id":"j",`, `"job_id":"\ufffd","job_id_b64":"/w",`),
		"twin, URL alphabet":   swap(`"job_id":"j",`, `"job_id":"\ufffd","job_id_b64":"_w==",`),
		"twin twice":           swap(`"job_id":"j",`, `"job_id":"\ufffd","job_id_b64":"/w==","job_id_b64":"/w==",`),
		"twin of a number":     swap(`"seq":7,`, `"seq":7,"seq_b64":"/w==",`),
		"twin out of place":    goldenFull[:len(goldenFull)-1] + `,"reason_b64":"/w=="}`,
		"unknown phase":        swap(`"phase":"completed"`, `"phase":"finished"`),
		"unknown outcome":      swap(`"outcome":"ok"`, `"outcome":"good"`),
		"no outcome":           swap(`"outcome":"ok",`, ``),
		"no received_seq":      swap(`"received_seq":6,`, ``),
		"closes itself":        swap(`"received_seq":6,`, `"received_seq":7,`),
		"negative received":    swap(`"received_seq":6,`, `"received_seq":-1,`),
		"received with result": swap(`"phase":"completed"`, `"phase":"received"`),
		"no event type":        swap(`"event_type":"submit"`, `"event_type":null`),
		"bytes without hash":   swap(`"req_sha256":"`+sum.String()+`",`, ``),
		"hash without bytes":   swap(`"req_bytes":0,`, ``),
		"no complete":          swap(`"req_complete":true,`, ``),
		"no complete, end":     goldenSmall[:len(goldenSmall)-1] + `,"req_bytes":1,"req_sha256":"` + zeros + `"}`,
		"original null":        swap(`"alcoa_original":false`, `"alcoa_original":null`),
		"original text":        swap(`"alcoa_original":false`, `"alcoa_original":"false"`),
		"fva empty":            swap(`[5,-1]`, `[]`),
		"fva without start":    swap(`[5,-1]`, `]`),
		"fva without end":      swap(`[5,-1]`, `[5,-1`),
		"fva of text":          swap(`[5,-1]`, `["5"]`),
		"fva a number":         swap(`[5,-1]`, `5`),
		"truncated empty":      swap(goldenFull[strings.Index(goldenFull, `[{"bytes"`):], `[]}`),
		"truncated other":      swap(`"bytes":9,"field"`, `"bytes":9,"extra":1,"field"`),
		"truncated hash":       swap(`"field":"http_path","sha256":"`+sum.String(), `"field":"http_path","sha256":"x`),
		"unknown twice":        goldenFull[:len(goldenFull)-1] + `,"new":1,"new":2}`,
		"unknown, float":       goldenFull[:len(goldenFull)-1] + `,"new":1.5}`,
		"unknown, no value":    goldenFull[:len(goldenFull)-1] + `,"new":}`,
		"too long": goldenFull[:len(goldenFull)-1] + `,"new":"` +
			strings.Repeat("x", audit.MaxLine) + `"}`,
	} {
		if line == goldenFull {
			t.Errorf("%s: the case does nothing", name)
		}
		_, err := audit.Parse([]byte(line))
		switch {
		case err == nil:
			t.Errorf("%s: accepted: %s", name, line)
		case !strings.HasPrefix(err.Error(), "audit: "):
			t.Errorf("%s: got error %q, want the prefix audit:", name, err)
		}
	}
}

func TestParseErrorsHoldNoTextOfTheLine(t *testing.T) {
	t.Parallel()
	secret := "s3cr3t"
	for _, line := range []string{
		strings.Replace(goldenFull, `"seq":7`, `"seq":"`+secret+`"`, 1),
		strings.Replace(goldenFull, `"job_id"`, `"`+secret+`"`, 1),
		strings.Replace(goldenFull, `"phase":"completed"`, `"phase":"`+secret+`"`, 1),
		strings.Replace(goldenFull, `"outcome":"ok"`, `"outcome":"`+secret+`"`, 1),
		strings.Replace(goldenFull, sum.String(), secret, 1),
		goldenFull + secret,
		goldenFull[:len(goldenFull)-1] + `,"` + secret + `":1.5}`,
	} {
		if _, err := audit.Parse([]byte(line)); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got error %v, want one without the line's text", err)
		}
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	t.Parallel()
	line := strings.Replace(goldenFull, `"reason":"why"`, `"reason":"why","new":{"a":[1]}`, 1)
	line = line[:len(line)-1] + `,"zz":"\ufffd"}`
	r, err := audit.Parse([]byte(line))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	want := []audit.RawField{{Name: "new", JSON: `{"a":[1]}`}, {Name: "zz", JSON: `"\ufffd"`}}
	if !reflect.DeepEqual(r.Unknown, want) {
		t.Errorf("got %v, want %v", r.Unknown, want)
	}
	if r.Reason != "why" || r.ChangeReason != "c" {
		t.Errorf("got %q and %q around the unknown field, want why and c", r.Reason, r.ChangeReason)
	}
}

func TestTheLongestLineIsAcceptedAndOneByteMoreIsNot(t *testing.T) {
	t.Parallel()
	r := small()
	r.UserAgent = "x"
	r.UserAgent = strings.Repeat("x", audit.MaxLine-1-len(audit.AppendRecord(nil, r))+1)
	if _, err := audit.Parse(audit.AppendRecord(nil, r)); err != nil {
		t.Errorf("a line of %d bytes: %v", audit.MaxLine, err)
	}
	r.UserAgent += "x"
	if _, err := audit.Parse(audit.AppendRecord(nil, r)); err == nil {
		t.Errorf("a line of %d bytes was accepted", audit.MaxLine+1)
	}
}

func TestAttributableSaysWhoActed(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]*audit.Record{
		"":                {},
		"u":               {UserID: "u"},
		"u (e)":           {UserID: "u", UserEmail: "e"},
		"a acting as u":   {UserID: "u", UserEmail: "e", ActorID: "a"},
		"[token] acts":    {UserID: "[token] acts", Attributable: "somebody else"},
		"\x00 (\xff\xfe)": {UserID: "\x00", UserEmail: "\xff\xfe"},
	} {
		r.EventType, r.Phase = "request", audit.Received
		line, err := audit.Line(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := audit.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if got.Attributable != want {
			t.Errorf("got %q, want %q", got.Attributable, want)
		}
	}
}
