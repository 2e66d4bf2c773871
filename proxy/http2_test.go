package proxy_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tollbook/audit"
)

// asked is what a client of user A sends for method and path; other fields go
// behind.
func asked(method, path string, fields ...string) []string {
	return append([]string{
		":method: " + method, ":path: " + path, ":scheme: http", ":authority: api.example",
		"authorization: Bearer " + goodToken(),
	}, fields...)
}

func TestHTTP2RequestsAreForwardedAsOneOfHTTP1(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, withClaims())
	f := s.dialFields()
	f.headers(1, flagEndStream, asked("GET", "/jobs/a%2fb?x;y&%zz", "cookie: a=1", "cookie: b=2",
		"x-user-id: user_B", "x-user-id: user_C", "xuserid: user_B", "x-actor-id: user_B",
		"x-user-email: b@example.com", "te: trailers", "x-other: 1")...)
	if got := f.answer(1); got != "ok" {
		t.Errorf("got reply %q, want ok", got)
	}
	_ = f.Close()
	got := rec.one(t)
	if line, _, _ := strings.Cut(got, "\r\n"); line != "GET /jobs/a%2fb?x;y&%zz HTTP/1.1" {
		t.Errorf("got request line %q", line)
	}
	for name, want := range map[string]string{
		"X-User-ID": userA, "Host": "api.example", "Cookie": "a=1; b=2", "X-Other": "1",
	} {
		if values := headerOf(got, name); !slices.Equal(values, []string{want}) {
			t.Errorf("got %s %q, want %q", name, values, want)
		}
	}
	for _, secret := range []string{"user_B", "user_C", "b@example", goodToken()} {
		if strings.Contains(got, secret) {
			t.Errorf("got %q upstream in %q", secret, got)
		}
	}
	records := s.records()
	if r := onlyOf(t, records, audit.Received); r.Proto != "HTTP/2.0" || r.UserID != userA {
		t.Errorf("got proto %q and user %q", r.Proto, r.UserID)
	}
	if r := onlyOf(t, records, audit.Completed); !r.Req.Complete || r.Req.Bytes != 0 {
		t.Errorf("got request body %+v, want an empty one, complete", r.Req)
	}
}

// What net/http refuses before our handler leaves no record; what it lets
// through, we do.
func TestHTTP2RequestsOfNoFormReachNobody(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	var want []string
	pseudo := func(method, path, authority string, fields ...string) []string {
		return append([]string{
			":method: " + method, ":path: " + path, ":scheme: http", ":authority: " + authority,
			"authorization: Bearer " + goodToken(),
		}, fields...)
	}
	for name, c := range map[string]struct {
		fields []string
		reason string // of ours
	}{
		"blank in the path":    {asked("GET", "/a b"), "request_invalid"},
		"blank in the query":   {asked("GET", "/?a b"), "request_invalid"},
		"a second version":     {asked("GET", "/jobs HTTP/1.1"), "request_invalid"},
		"a second line":        {asked("GET", "/ HTTP/1.1\r\nX-User-ID: user_B"), ""},
		"control in the path":  {asked("GET", "/\x01"), ""},
		"blank in the method":  {asked("GE T", "/"), "request_invalid"},
		"colon in the method":  {asked("GET:", "/"), "request_invalid"},
		"a line in the method": {asked("GET / HTTP/1.1\r\nX: ", "/"), ""},
		"absolute path":        {asked("GET", "http://evil.example/"), "request_invalid"},
		"asterisk":             {asked("GET", "*"), "request_invalid"},
		"no slash":             {asked("GET", "evil.example"), ""},
		"CONNECT": {
			[]string{":method: CONNECT", ":authority: evil.example:443"},
			"method_not_allowed",
		},
		"CONNECT of a path":      {asked("CONNECT", "/jobs"), ""},
		"extended CONNECT":       {asked("CONNECT", "/jobs", ":protocol: websocket"), ""},
		"TRACE":                  {asked("TRACE", "/"), "method_not_allowed"},
		"TRACK":                  {asked("TRACK", "/"), "method_not_allowed"},
		"no authority":           {asked("GET", "/")[:3], "request_invalid"},
		"empty authority":        {pseudo("GET", "/", ""), "request_invalid"},
		"blank in the authority": {pseudo("GET", "/", "a b"), "request_invalid"},
		"path in the authority":  {pseudo("GET", "/", "api.example/jobs"), "request_invalid"},
		"two in the authority":   {pseudo("GET", "/", "api.example,evil.example"), "request_invalid"},
		"user in the authority":  {pseudo("GET", "/", "a@b"), ""},
		"another host":           {asked("GET", "/", "host: evil.example"), "request_invalid"},
		"one more host": {
			asked("GET", "/", "host: api.example", "host: evil"),
			"request_invalid",
		},
		"two hosts": {
			append(asked("GET", "/")[:3], "host: api.example", "host: evil.example"), "request_invalid",
		},
		"another scheme":     {append(asked("GET", "/")[:2], ":scheme: ftp", ":authority: a"), ""},
		"path twice":         {asked("GET", "/", ":path: /jobs"), ""},
		"path behind":        {append([]string{"x: y"}, asked("GET", "/")...), ""},
		"upper case name":    {asked("GET", "/", "X-User-ID: user_B"), ""},
		"underscores":        {asked("GET", "/", "x_user_id: user_B"), "request_invalid"},
		"dots":               {asked("GET", "/", "x.user.id: user_B"), "request_invalid"},
		"blank in a name":    {asked("GET", "/", "x y: z"), ""},
		"a line in a value":  {asked("GET", "/", "x: a\r\nx-user-id: user_B"), ""},
		"NUL in a value":     {asked("GET", "/", "x: a\x00b"), ""},
		"connection":         {asked("GET", "/", "connection: x-user-id"), ""},
		"upgrade":            {asked("GET", "/", "upgrade: websocket"), ""},
		"transfer-encoding":  {asked("GET", "/", "transfer-encoding: chunked"), ""},
		"te of another kind": {asked("GET", "/", "te: gzip"), ""},
	} {
		f := s.dialFields()
		f.headers(1, flagEndStream, c.fields...)
		answer := f.answer(1)
		_ = f.Close()
		if c.reason != "" && !strings.Contains(answer, `"reason":"`+c.reason+`"`) {
			t.Errorf("%s: got reply %q, want reason %s", name, answer, c.reason)
		}
		if c.reason != "" {
			want = append(want, c.reason)
		}
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none: %q", n, rec.requests)
	}
	var got []string
	for _, r := range s.records() {
		got = append(got, r.Reason)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got reasons %q recorded, want %q", got, want)
	}
}

func TestHTTP2StreamsAreAuthenticatedOneByOne(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	f := s.dialFields()
	for i, want := range []string{"token_missing", "token_malformed", "ok"} {
		stream, fields := uint32(2*i+1), asked("GET", "/")
		switch want {
		case "token_missing":
			fields = fields[:4]
		case "token_malformed":
			fields = append(fields, "authorization: Bearer a.b.c")
		}
		f.headers(stream, flagEndStream, fields...)
		if got := f.answer(stream); !strings.Contains(got, want) {
			t.Errorf("stream %d: got %q, want %s", stream, got, want)
		}
	}
	if n := rec.hits(); n != 1 {
		t.Errorf("got %d requests upstream, want the last alone", n)
	}
}

// A CONNECT's content once desynchronised connections to upstreams.
func TestContentOfCONNECTReachesNobody(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	f := s.dialFields()
	f.headers(1, 0, ":method: CONNECT", ":authority: api.example:80",
		"authorization: Bearer "+goodToken())
	f.send(frameData, flagEndStream, 1, plain("GET /smuggled", ""))
	if got := f.answer(1); !strings.Contains(got, "method_not_allowed") {
		t.Errorf("got %q, want method_not_allowed", got)
	}
	p := s.dial(request("CONNECT api.example:80", plain("GET /smuggled", ""), "Content-Length: 46"))
	wantStatus(t, p.reply("GET"), http.StatusMethodNotAllowed)
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}

func TestHTTP2TrailersAreNotForwarded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ declared, trailer, reason string }{
		"declared":     {"trailer: x-user-id", "x-user-id: user_B", ""},
		"undeclared":   {"x-other: 1", "x-user-id: user_B", ""},
		"odd":          {"trailer: x_user_id", "x_user_id: user_B", "request_invalid"},
		"odd and late": {"x-other: 1", "x_user_id: user_B", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			f := s.dialFields()
			f.headers(1, 0, asked("POST", "/", c.declared)...)
			f.send(frameData, 0, 1, "abc")
			f.headers(1, flagEndStream, c.trailer)
			if got := f.answer(1); !strings.Contains(got, c.reason) {
				t.Errorf("got %q, want %s", got, c.reason)
			}
			if c.reason != "" {
				if n := rec.hits(); n != 0 {
					t.Errorf("got %d requests upstream, want none", n)
				}
				return
			}
			got := rec.one(t)
			if strings.Contains(got, "user_B") || headerOf(got, "Trailer") != nil {
				t.Errorf("got a trailer upstream: %q", got)
			}
		})
	}
}
