package audit_test

import (
	"strings"
	"testing"

	"tollbook/audit"
)

// lineCases change one line of the trail one-day into what no log writes. Each is
// found in that line. The script must find them too, but for those that are good
// JSON with the right numbers and hashes: it does not know the one form.
var lineCases = map[string]struct {
	line       int
	from, to   string
	scriptGood bool
}{
	"doubled field":             {line: 5, from: `"job_id":null,`, to: `"job_id":null,"job_id":null,`},
	"doubled field, other":      {line: 5, from: `"job_id":null,`, to: `"job_id":"a","job_id":null,`},
	"doubled later field":       {line: 6, from: `"http_status":200`, to: `"http_status":200,"http_status":200`},
	"doubled name in metadata":  {line: 3, from: `"token_exp":`, to: `"token_exp":1,"token_exp":`},
	"doubled unknown field":     {line: 6, from: `200}`, to: `200,"x":1,"x":1}`},
	"unknown version":           {line: 5, from: `"v":1`, to: `"v":2`},
	"version 0":                 {line: 5, from: `"v":1`, to: `"v":0`},
	"version as text":           {line: 5, from: `"v":1`, to: `"v":"1"`},
	"version as float":          {line: 5, from: `"v":1`, to: `"v":1.0`},
	"version true":              {line: 5, from: `"v":1`, to: `"v":true`},
	"no version":                {line: 5, from: `"v":1,`, to: ``},
	"trailing bytes":            {line: 5, from: "}\n", to: "}x\n"},
	"trailing comma":            {line: 5, from: "}\n", to: "},\n"},
	"trailing record":           {line: 5, from: "}\n", to: "}{}\n"},
	"NUL behind the record":     {line: 5, from: "}\n", to: "}\x00\n"},
	"CRLF":                      {line: 5, from: "}\n", to: "}\r\n"},
	"byte order mark":           {line: 5, from: `{"timestamp"`, to: "\ufeff" + `{"timestamp"`},
	"byte order mark at first":  {line: 1, from: `{"timestamp"`, to: "\ufeff" + `{"timestamp"`},
	"raw UTF-8":                 {line: 5, from: `"list"`, to: `"lïst"`},
	"raw DEL":                   {line: 5, from: `"list"`, to: "\"list\x7f\""},
	"raw tab":                   {line: 5, from: `"list"`, to: "\"li\tst\""},
	"no last newline":           {line: 11, from: "}\n", to: "}"},
	"no newline, another byte":  {line: 11, from: "}\n", to: "}x"},
	"half a line":               {line: 11, from: `,"reason":"stop"}` + "\n", to: ``},
	"empty line":                {line: 5, from: `{"timestamp"`, to: "\n" + `{"timestamp"`},
	"leading zero":              {line: 6, from: `"http_status":200`, to: `"http_status":0200`},
	"seq with a leading zero":   {line: 5, from: `"seq":5`, to: `"seq":05`},
	"seq as float":              {line: 5, from: `"seq":5`, to: `"seq":5.0`},
	"seq as text":               {line: 5, from: `"seq":5`, to: `"seq":"5"`},
	"seq skipped":               {line: 5, from: `"seq":5`, to: `"seq":6`},
	"seq twice":                 {line: 5, from: `"seq":5`, to: `"seq":4`},
	"no seq":                    {line: 5, from: `"seq":5,`, to: ``},
	"an array":                  {line: 5, from: `{"timestamp"`, to: `[{"timestamp"`},
	"too long":                  {line: 6, from: `200}`, to: `200,"x":"` + strings.Repeat("x", audit.MaxLine) + `"}`},
	"needless escape":           {line: 5, from: `"list"`, to: `"\u006cist"`, scriptGood: true},
	"short escape":              {line: 8, from: `job\u000a`, to: `job\n`, scriptGood: true},
	"escaped slash":             {line: 5, from: `"/jobs/`, to: `"\/jobs/`, scriptGood: true},
	"upper-case escape":         {line: 8, from: `\u202e`, to: `\u202E`, scriptGood: true},
	"lone surrogate":            {line: 8, from: `\ud83d\udca5`, to: `\ud83d`, scriptGood: true},
	"twin that differs":         {line: 8, from: `_b64":"YT0Ke`, to: `_b64":"YT1Ke`, scriptGood: true},
	"twin of good UTF-8":        {line: 5, from: `/req-list"}`, to: `/req-list","http_path_b64":"L2pvYnMvcmVxLWxpc3Q="}`, scriptGood: true},
	"space behind a comma":      {line: 5, from: `,"job_id"`, to: `, "job_id"`, scriptGood: true},
	"space behind a colon":      {line: 5, from: `"job_id":`, to: `"job_id": `, scriptGood: true},
	"space before the record":   {line: 5, from: `{"timestamp"`, to: ` {"timestamp"`, scriptGood: true},
	"space behind the record":   {line: 5, from: "}\n", to: "} \n", scriptGood: true},
	"float":                     {line: 6, from: `"http_status":200`, to: `"http_status":200.0`, scriptGood: true},
	"exponent":                  {line: 6, from: `"http_status":200`, to: `"http_status":2e2`, scriptGood: true},
	"infinity":                  {line: 6, from: `"http_status":200`, to: `"http_status":Infinity`, scriptGood: true},
	"empty text":                {line: 5, from: `"job_id":null`, to: `"job_id":""`, scriptGood: true},
	"missing always-present":    {line: 5, from: `"session_id":null,`, to: ``, scriptGood: true},
	"missing last present":      {line: 1, from: `,"request_id":null`, to: ``, scriptGood: true},
	"wrong order":               {line: 5, from: `"job_id":null,"status":null`, to: `"status":null,"job_id":null`, scriptGood: true},
	"wrong order at the end":    {line: 6, from: `"received_seq":5,"outcome":"ok"`, to: `"outcome":"ok","received_seq":5`, scriptGood: true},
	"wrong order in metadata":   {line: 10, from: `"counts":{"audit_unavailable":3},`, to: `"zounts":{},`, scriptGood: true},
	"unknown field early":       {line: 5, from: `"job_id":null,`, to: `"job_id":null,"x":1,`, scriptGood: true},
	"unknown phase":             {line: 7, from: `"phase":"refused"`, to: `"phase":"denied"`, scriptGood: true},
	"unknown outcome":           {line: 6, from: `"outcome":"ok"`, to: `"outcome":"good"`, scriptGood: true},
	"times differ":              {line: 5, from: `"alcoa_contemporaneous":"2026`, to: `"alcoa_contemporaneous":"2027`, scriptGood: true},
	"closes nothing":            {line: 6, from: `"received_seq":5`, to: `"received_seq":4`, scriptGood: true},
	"closes twice":              {line: 6, from: `"received_seq":5`, to: `"received_seq":3`, scriptGood: true},
	"closes another's":          {line: 6, from: `"request_id":"req-list"`, to: `"request_id":"other"`, scriptGood: true},
	"no day record":             {line: 1, from: `"phase":"system","request_id":null,"reason":"day"`, to: `"phase":"system","request_id":null,"reason":"dax"`},
	"a day where none begins":   {line: 2, from: `"reason":"start"`, to: `"reason":"day"`},
	"day record, other size":    {line: 1, from: `"tree_size":0`, to: `"tree_size":1`, scriptGood: true},
	"day record, open requests": {line: 1, from: `"open":[]`, to: `"open":[9]`, scriptGood: true},
	"day record without a key":  {line: 1, from: `"verifier_key"`, to: `"verifier_kex"`},
}

// Each change is tried as it is, and in a trail that was chained, signed and
// claimed anew with another key, where nothing but the line itself is wrong.
func TestALineThatIsNotInTheOneFormIsFoundThere(t *testing.T) {
	t.Parallel()
	control, _ := goldenCopy(t, "one-day")
	f := newForger(t, control)
	f.resign()
	script := []scriptCase{{"forged and good", control, f.key, true}}
	if at := verifyError(t, control, audit.VerifyConfig{Key: f.key}); at != nil {
		t.Fatalf("a forged trail that nothing is wrong with: %v", at)
	}
	for name, c := range lineCases {
		for _, forged := range []bool{false, true} {
			dir, _ := goldenCopy(t, "one-day")
			f.dir = dir
			f.replace(firstDay, c.line, c.from, c.to)
			if forged {
				name += ", forged"
				f.resign()
			}
			at := verifyError(t, dir, audit.VerifyConfig{})
			if at == nil || at.File != firstDay || at.Line != int64(c.line) || at.Seq != int64(c.line) {
				t.Errorf("%s: got %v, want it found in line %d of %s", name, at, c.line, firstDay)
			}
			script = append(script, scriptCase{name, dir, "", c.scriptGood && forged})
		}
	}
	scriptAgrees(t, script)
}
