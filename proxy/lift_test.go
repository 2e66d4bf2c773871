package proxy_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"tollbook/audit"
	"tollbook/proxy"
)

var lifted = []string{"job_id", "status", "queue"}

// jsonReply is a reply of JSON as far as lifting looks at it.
func jsonReply(content string) http.Response {
	return http.Response{
		StatusCode: 200, ContentLength: int64(len(content)),
		Header: http.Header{"Content-Type": {"application/json"}},
	}
}

func compressed(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatalf("compressing: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("compressing: %v", err)
	}
	return b.String()
}

func TestFieldsAreLiftedFromReplies(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]map[string]string{
		`{"job_id":"7","status":"pending","other":1}`:     {"job_id": "7", "status": "pending"},
		` { "status" : "a b" , "job_id" : "x,}]\"y" } `:   {"job_id": `x,}]"y`, "status": "a b"},
		`{"job_id":7,"status":-1.50e+3,"queue":0}`:        {"job_id": "7", "status": "-1.50e+3", "queue": "0"},
		`{"job_id":12345678901234567890123456789}`:        {"job_id": "12345678901234567890123456789"},
		`{"job_id":null,"status":true,"queue":["a"]}`:     {},
		`{"job_id":{"job_id":"no"},"x":{"status":"no"}}`:  {},
		`{"x":[{"job_id":"no"},"}"],"job_id":"yes"}`:      {"job_id": "yes"},
		`{"job_id":"1","job_id":"2"}`:                     {"job_id": "2"},
		`{"job_id":"1","job_id":null}`:                    {},
		`{"\u006aob_id":"1","JOB_ID":"2"}`:                {"job_id": "1"},
		`{"job_id":"\u00e9\n\t\/\\\b\f\r\ud83d\ude00"}`:   {"job_id": "é\n\t/\\\b\f\r😀"},
		`{"job_id":"\ud800x","status":"\udc00\ud800"}`:    {"job_id": "\xed\xa0\x80x", "status": "\xed\xb0\x80\xed\xa0\x80"},
		`{"job_id":"\ud800\u0041"}`:                       {"job_id": "\xed\xa0\x80A"},
		"{\"job_id\":\"\xff\"}":                           {"job_id": "\xff"},
		`{"job_id":""}`:                                   {"job_id": ""},
		`{}`:                                              {},
		`[]`:                                              {},
		`["job_id","1"]`:                                  {},
		`"job_id"`:                                        {},
		`null`:                                            {},
		`{"job_id":"1"`:                                   nil,
		`{"job_id":"1"}}`:                                 nil,
		`{"job_id":"1",}`:                                 nil,
		`{'job_id':'1'}`:                                  nil,
		`{"job_id":01}`:                                   nil,
		``:                                                nil,
		`{"job_id":"1","x":` + strings.Repeat("[", 20000): nil,
		`{"job_id":"1","x":"` + strings.Repeat("y", 70000) + `"}`: nil,
	} {
		if got := proxy.Lift(lifted, jsonReply(content), []byte(content)); !maps.Equal(got, want) {
			t.Errorf("%.60s: got %q, want %q", content, got, want)
		}
	}
}

func TestOnlyGoodJSONRepliesAreLiftedFrom(t *testing.T) {
	t.Parallel()
	const content = `{"job_id":"7"}`
	bomb := compressed(t, `{"job_id":"7"}`+strings.Repeat(" ", 64<<10))
	for name, test := range map[string]struct {
		change  func(*http.Response)
		content string
		want    string
	}{
		"201":          {func(r *http.Response) { r.StatusCode = 201 }, content, "7"},
		"400":          {func(r *http.Response) { r.StatusCode = 400 }, content, ""},
		"302":          {func(r *http.Response) { r.StatusCode = 302 }, content, ""},
		"no type":      {func(r *http.Response) { r.Header.Del("Content-Type") }, content, ""},
		"text":         {func(r *http.Response) { typed(r, "text/plain") }, content, ""},
		"problem":      {func(r *http.Response) { typed(r, "application/problem+json") }, content, ""},
		"charset":      {func(r *http.Response) { typed(r, "Application/JSON; charset=utf-8") }, content, "7"},
		"too long":     {func(r *http.Response) { r.ContentLength = 64<<10 + 1 }, content, ""},
		"no length":    {func(r *http.Response) { r.ContentLength = -1 }, content, "7"},
		"identity":     {func(r *http.Response) { r.Header.Set("Content-Encoding", "identity") }, content, "7"},
		"br":           {func(r *http.Response) { r.Header.Set("Content-Encoding", "br") }, content, ""},
		"gzip":         {gzipEncoded, compressed(t, content), "7"},
		"gzip bomb":    {gzipEncoded, bomb, ""},
		"cut gzip":     {gzipEncoded, compressed(t, content)[:20], ""},
		"no gzip":      {gzipEncoded, content, ""},
		"gzip, unsaid": {func(*http.Response) {}, compressed(t, content), ""},
	} {
		res := jsonReply(test.content)
		test.change(&res)
		if got := proxy.Lift(lifted, res, []byte(test.content))["job_id"]; got != test.want {
			t.Errorf("%s: got job_id %q, want %q", name, got, test.want)
		}
	}
}

func typed(r *http.Response, media string) { r.Header.Set("Content-Type", media) }

func gzipEncoded(r *http.Response) { r.Header.Set("Content-Encoding", "gzip") }

func TestLiftedFieldsAreRecorded(t *testing.T) {
	t.Parallel()
	const content = `{"job_id":"from reply","status":"pending","queue":3}`
	events := []proxy.Event{
		{Name: "submit", Pattern: "POST /jobs"},
		{Name: "status", Pattern: "GET /jobs/{job_id}"},
		{Name: "move", Pattern: "PUT /jobs/{job_id}/{status}/{queue}"},
	}
	for line, want := range map[string]struct{ job, status, queue string }{
		"POST /jobs":            {"from reply", "pending", "3"},
		"GET /jobs/7":           {"7", "pending", "3"},
		"PUT /jobs/7/done/late": {"7", "done", "late"},
	} {
		for framing, reply := range map[string]string{
			"length":  fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(content), content),
			"chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(content), content),
		} {
			t.Run(line+", "+framing, func(t *testing.T) {
				t.Parallel()
				s := start(t, record(t, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"+reply).addr,
					setup{proxy: proxy.Config{Events: events, ResponseFields: lifted}})
				if got := readAll(t, s.dial(request(line, "")).reply("POST").Body); got != content {
					t.Errorf("got body %q, want it unchanged", got)
				}
				r := s.only(audit.Completed)
				fields, _ := r.Metadata.Get("fields")
				queue, _ := fields.Object().Get("queue")
				text, _ := queue.Str()
				if r.JobID != want.job || r.Status != want.status || text != want.queue {
					t.Errorf("got job %q, status %q, queue %q, want %+v", r.JobID, r.Status, text, want)
				}
			})
		}
	}
}

func FuzzLift(f *testing.F) {
	f.Add([]byte(`{"job_id":"7","status":1.5,"queue":[{"a":"}"}]}`))
	f.Add([]byte(`{"job_id":"\ud83d\ude00\ud800\u0000","\u006aob_id":"2"}`))
	f.Add([]byte("{\"job_id\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		got := proxy.Lift(lifted, jsonReply(string(content)), content)
		var whole map[string]json.RawMessage
		if len(content) > 64<<10 || json.Unmarshal(content, &whole) != nil {
			if len(got) > 0 && !json.Valid(content) {
				t.Errorf("got %q of what is no JSON", got)
			}
			return
		}
		if !utf8.Valid(content) || bytes.Contains(bytes.ToLower(content), []byte(`\ud`)) {
			return // encoding/json replaces what we keep
		}
		want := make(map[string]string)
		for _, name := range lifted {
			var text string
			var number json.Number
			switch raw := whole[name]; {
			case len(raw) == 0 || raw[0] == 'n':
			case raw[0] == '"' && json.Unmarshal(raw, &text) == nil:
				want[name] = text
			case raw[0] != '"' && json.Unmarshal(raw, &number) == nil:
				want[name] = number.String()
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
