package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

func TestTargetsPassByteForByte(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/", "/jobs/a%2fb", "/jobs/a%2Fb", "/a|b", `/a"b<c>{d}^e` + "`f", "/a%7Cb", "/\xff\xfe", "/é",
		"//x", "//x/y?z", "/a//b", "/./a/../b", "/%2e%2e/b", "/a;b=c", "/a%20b+c", "/x?", "/x?a",
		"/?a;b&%zz", "/?%", "/?a=b?c", "/?a=%00&a=\xff", "/?=&=&&", "/a%23b?c%23d", "/a:b", "/:",
		"/http://evil.example/", "/" + strings.Repeat("a", 8000),
	} {
		t.Run(target[:min(len(target), 30)], func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			wantStatus(t, s.dial(request("GET "+target, "")).reply("GET"), http.StatusOK)
			line, _, _ := strings.Cut(rec.one(t), "\r\n")
			if want := "GET " + target + " HTTP/1.1"; line != want {
				t.Errorf("got request line %q, want %q", line, want)
			}
			path, query, _ := strings.Cut(target, "?")
			if r := s.only(audit.Received); r.Path != path || r.Query != query {
				t.Errorf("got http_path %q and http_query %q, want %q and %q", r.Path, r.Query, path, query)
			}
		})
	}
}

func TestTenThousandParametersPass(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	target := "/?" + strings.Repeat("a=1;", 5000) + strings.Repeat("&b=2", 5000)
	wantStatus(t, s.dial(request("GET "+target, "")).reply("GET"), http.StatusOK)
	if line, _, _ := strings.Cut(rec.one(t), "\r\n"); line != "GET "+target+" HTTP/1.1" {
		t.Errorf("got a request line of %d bytes, want %d, unchanged", len(line), len(target)+13)
	}
}

// A path that net/http's client would not write as it is must be refused.
func TestPathsThatWouldChangeAreRefused(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	res := s.dial(request("GET //a|b", "")).reply("GET")
	wantReply(t, res, http.StatusBadRequest, "request_invalid",
		"the path has bytes that can't be forwarded as they are")
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}

func TestTargetsOfOtherFormsAreRefused(t *testing.T) {
	t.Parallel()
	for line, status := range map[string]int{
		"GET http://api.example/jobs":   http.StatusBadRequest,
		"GET http://evil.example/":      http.StatusBadRequest,
		"GET https://evil.example:1/x?": http.StatusBadRequest,
		"GET evil.example":              http.StatusBadRequest,
		"GET *":                         http.StatusBadRequest,
		"CONNECT evil.example:443":      http.StatusMethodNotAllowed,
		"CONNECT /jobs":                 http.StatusMethodNotAllowed,
		"TRACE /":                       http.StatusMethodNotAllowed,
		"TRACK /":                       http.StatusMethodNotAllowed,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			p := s.dial(request(line, "", "Connection: close"))
			if res := p.reply("GET"); res.StatusCode != status {
				t.Errorf("got status %d, want %d", res.StatusCode, status)
			}
			if n := rec.hits(); n != 0 {
				t.Errorf("got %d requests upstream, want none", n)
			}
			for _, r := range s.records() {
				if r.Phase != audit.Refused {
					t.Errorf("got a record of phase %s, want none but refused", r.Phase)
				}
			}
		})
	}
}

func TestMethodsThatAreNeverForwardedSaySo(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, setup{})
	for _, method := range []string{"TRACE", "TRACK", "trace", "Track"} {
		wantReply(t, s.dial(request(method+" /", "")).reply(method),
			http.StatusMethodNotAllowed, "method_not_allowed", method+" is not forwarded")
	}
}

func TestOptionsOfTheServerNeedsAToken(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	for _, target := range []string{"*", "/", "/jobs"} {
		wantReply(t, s.dial(plain("OPTIONS "+target, "")).reply("OPTIONS"),
			http.StatusUnauthorized, "token_missing", "Not authenticated")
	}
	if n := rec.hits(); n != 0 {
		t.Fatalf("got %d requests upstream, want none", n)
	}
	wantStatus(t, s.dial(request("OPTIONS *", "")).reply("OPTIONS"), http.StatusOK)
	if line, _, _ := strings.Cut(rec.one(t), "\r\n"); line != "OPTIONS * HTTP/1.1" {
		t.Errorf("got request line %q, want OPTIONS *", line)
	}
}

func TestNothingReachesUpstreamWithoutAToken(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	for _, target := range []string{
		"/health", "/livez", "/metrics", "/debug/pprof/", "/jobs?access_token=" + goodToken(),
		"//jobs", "/../jobs", "/jobs%23/health",
	} {
		res := s.dial(plain("GET "+target, "", "X-Forwarded-For: 127.0.0.1", "X-Original-URL: /health",
			"X-HTTP-Method-Override: GET", "Cookie: __session="+goodToken())).reply("GET")
		wantStatus(t, res, http.StatusUnauthorized)
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}

func TestPipelinedRequestsAreAuthenticatedOneByOne(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	p := s.dial(request("GET /1", "") + plain("GET /2", "") + request("GET /3", ""))
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusOK} {
		res := p.reply("GET")
		wantStatus(t, res, want)
		readAll(t, res.Body)
	}
	if n := rec.hits(); n != 2 {
		t.Errorf("got %d requests upstream, want 2", n)
	}
}

func TestRoutesHaveNames(t *testing.T) {
	t.Parallel()
	events := []proxy.Event{
		{Name: "submit", Pattern: "POST /jobs"},
		{Name: "list", Pattern: "GET /jobs"},
		{Name: "status", Pattern: "GET /jobs/{job_id}"},
		{Name: "part", Pattern: "GET /jobs/{job_id}/parts/{part...}"},
		{Name: "state", Pattern: "PUT /jobs/{job_id}/{status}"},
	}
	for line, want := range map[string]struct{ event, job, status, part string }{
		"POST /jobs":              {event: "submit"},
		"GET /jobs":               {event: "list"},
		"HEAD /jobs":              {event: "list"},
		"GET /jobs/7":             {event: "status", job: "7"},
		"HEAD /jobs/7":            {event: "status", job: "7"},
		"GET /jobs/a%2fb?x=1":     {event: "status", job: "a/b"},
		"DELETE /jobs/7":          {event: "request"},
		"GET /jobs/":              {event: "list"},
		"GET /jobs%2f7":           {event: "status", job: "7"},
		"GET /jobs%2F..%2Fother":  {event: "request"},
		"GET /other":              {event: "request"},
		"GET //jobs":              {event: "list"},
		"GET /jobs/../jobs":       {event: "list"},
		"GET /jobs/7/parts/a/b":   {event: "part", job: "7", part: "a/b"},
		"PUT /jobs/7/cancelled":   {event: "state", job: "7", status: "cancelled"},
		"OPTIONS *":               {event: "request"},
		"GET /jobs/%6a%C3%A9?":    {event: "status", job: "jé"},
		"GET /jobs/%ff":           {event: "status", job: "\xff"},
		"GET /jobs/" + "x%00y%0a": {event: "status", job: "x\x00y\n"},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			method, _, _ := strings.Cut(line, " ")
			s := start(t, record(t, "HTTP/1.1 204 No Content\r\n\r\n").addr,
				setup{proxy: proxy.Config{Events: events}})
			wantStatus(t, s.dial(request(line, "")).reply(method), http.StatusNoContent)
			for _, r := range s.records() {
				fields, _ := r.Metadata.Get("fields")
				part, _ := fields.Object().Get("part")
				text, _ := part.Str()
				if r.EventType != want.event || r.JobID != want.job || r.Status != want.status ||
					text != want.part {
					t.Errorf("got %s: event %q, job %q, status %q, part %q, want %+v",
						r.Phase, r.EventType, r.JobID, r.Status, text, want)
				}
			}
		})
	}
}

func TestBadEventPatternsAreErrors(t *testing.T) {
	t.Parallel()
	for name, events := range map[string][]proxy.Event{
		"malformed":   {{Name: "x", Pattern: "GET /{"}},
		"conflicting": {{Name: "x", Pattern: "/{a}/b"}, {Name: "y", Pattern: "/a/{b}"}},
	} {
		if _, err := proxy.New(proxy.Config{Events: events}); err == nil ||
			!strings.HasPrefix(err.Error(), "proxy: event ") {
			t.Errorf("%s: got error %v, want one that names the event", name, err)
		}
	}
}

func TestSecretsInQueriesAreMasked(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{ //nolint:gosec // names, not secrets
		"":                                "",
		"a=1&b=2":                         "a=1&b=2",
		"token=x":                         "token=***",
		"a=1&token=x&b=2":                 "a=1&token=***&b=2",
		"a=1;token=x;b=2&c=3":             "a=1;token=***&c=3",
		"token=x;y&b=2":                   "token=***&b=2",
		"TOKEN=x&Api_Key=y&api-key=z":     "TOKEN=***&Api_Key=***&api-key=***",
		"access_token=x&id_token=y":       "access_token=***&id_token=***",
		"%74oken=x&t%6Fken=y":             "%74oken=***&t%6Fken=***",
		"key=&secret=a=b&password":        "key=***&secret=***&password",
		"code=1&sig=2&session=3&jwt=4":    "code=***&sig=***&session=***&jwt=***",
		"keys=1&tokens=2&monkey=3&%=4&%z": "keys=1&tokens=2&monkey=3&%=4&%z",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			s.dial(request("GET /?"+query, "")).reply("GET")
			if line, _, _ := strings.Cut(rec.one(t), "\r\n"); line != "GET /?"+query+" HTTP/1.1" {
				t.Errorf("got request line %q, want the query as sent", line)
			}
			if got := s.only(audit.Received).Query; got != want {
				t.Errorf("got http_query %q, want %q", got, want)
			}
		})
	}
}
