package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tollbook/audit"
	"tollbook/proxy"
)

// A framing is how a request says where its body ends, in its own way.
type framing struct {
	header, body string
	status       int    // 400 and 501 are net/http's, 200 is one request upstream
	upstream     string // then its body
}

// chunkedBody holds a request where others would look for one.
func chunkedBody(size string) string {
	return size + "\r\nhello\r\n0\r\n\r\n" + plain("GET /smuggled", "")
}

func framings() map[string]framing {
	const te = "Transfer-Encoding: chunked"
	hidden := request("GET /smuggled", "")
	length := fmt.Sprintf("Content-Length: %d", len(hidden))
	ok := chunkedBody("5")
	return map[string]framing{
		"length and chunked":        {"Content-Length: 3\r\n" + te, ok, 200, "hello"},
		"chunked and length":        {te + "\r\n" + length, "0\r\n\r\n" + plain("GET /smuggled", ""), 200, ""},
		"two equal lengths":         {length + "\r\n" + length, hidden, 200, hidden},
		"two lengths":               {"Content-Length: 5\r\nContent-Length: 6", "hello!", 400, ""},
		"a list of lengths":         {"Content-Length: 5, 6", "hello!", 400, ""},
		"a signed length":           {"Content-Length: +5", "hello", 400, ""},
		"a negative length":         {"Content-Length: -1", hidden, 400, ""},
		"a hexadecimal length":      {"Content-Length: 0x5", "hello", 400, ""},
		"a huge length":             {"Content-Length: 99999999999999999999", hidden, 400, ""},
		"no length":                 {"Content-Length: ", hidden, 400, ""},
		"space before the colon":    {"Content-Length : 5", "hello", 400, ""},
		"tab before the colon":      {"Transfer-Encoding\t: chunked", ok, 400, ""},
		"space in a name":           {"Content Length: 5", "hello", 400, ""},
		"no name":                   {": 5", "", 400, ""},
		"no colon":                  {"Content-Length", "", 400, ""},
		"NUL in a value":            {"X-A: a\x00b", "", 400, ""},
		"CR in a value":             {"X-A: a\rContent-Length: 5", "hello", 400, ""},
		"NUL in a name":             {"X-\x00A: a", "", 400, ""},
		"two hosts":                 {"Host: evil.example", "", 400, ""},
		"an unknown coding":         {"Transfer-Encoding: xchunked", ok, 501, ""},
		"identity":                  {"Transfer-Encoding: identity", "", 501, ""},
		"a second coding":           {"Transfer-Encoding: gzip, chunked", ok, 501, ""},
		"chunked twice":             {te + ", chunked", ok, 501, ""},
		"chunked in two lines":      {te + "\r\n" + te, ok, 501, ""},
		"a vertical tab":            {"Transfer-Encoding: \x0bchunked", ok, 400, ""},
		"other case":                {"tRANSFER-eNCODING: cHUNKED", ok, 200, "hello"},
		"a folded line":             {"X-A: a\r\n b", "", 200, ""},
		"a folded coding":           {"Transfer-Encoding:\r\n chunked", ok, 200, "hello"},
		"bare line feeds":           {"X-A: a\nContent-Length: 5", "hello", 200, "hello"},
		"a chunk extension":         {te, chunkedBody(`5;a="b"`), 200, "hello"},
		"zeros before a size":       {te, chunkedBody("0005"), 200, "hello"},
		"a signed size":             {te, chunkedBody("+5"), 413, ""},
		"a prefixed size":           {te, chunkedBody("0x5"), 413, ""},
		"space before a size":       {te, chunkedBody(" 5"), 413, ""},
		"a size that overflows":     {te, chunkedBody("10000000000000005"), 413, ""},
		"no size":                   {te, chunkedBody(""), 413, ""},
		"a bare CR in an extension": {te, chunkedBody("5;a\rb"), 413, ""},
		"a short chunk":             {te, "4\r\nhello\r\n0\r\n\r\n" + hidden, 413, ""},
		"a chunk without an end":    {te, "5\r\nhello0\r\n\r\n" + hidden, 413, ""},
		"trailers":                  {te, "5\r\nhello\r\n0\r\nX-User-ID: b\r\nContent-Length: 50\r\n\r\n", 200, "hello"},
	}
}

// malformed stands for 400 with a reply of ours, in framings.
const malformed = 413

func TestEveryFramingIsOneRequestOrNone(t *testing.T) {
	t.Parallel()
	for name, test := range framings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := prometheus.NewRegistry()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{proxy: proxy.Config{Metrics: proxy.NewMetrics(reg)}})
			p := s.dial(request("POST /", test.body, test.header))
			res := p.reply("POST")
			if test.status == http.StatusOK {
				wantStatus(t, res, http.StatusOK)
				_ = p.Close()
			} else {
				wantStatus(t, res, map[int]int{malformed: 400, 400: 400, 501: 501}[test.status])
				readAll(t, res.Body)
				wantNoMore(t, p)
			}
			records := s.records()
			if test.status == http.StatusOK {
				wantOneRequest(t, rec.one(t), test.upstream)
				if r := onlyOf(t, records, audit.Completed); r.Outcome != audit.OK {
					t.Errorf("got outcome %s, want ok", r.Outcome)
				}
				return
			}
			rec.mu.Lock()
			whole := len(rec.requests)
			rec.mu.Unlock()
			if whole > 0 {
				t.Errorf("got %d whole requests upstream, want none", whole)
			}
			if test.status == malformed {
				wantOutcome(t, onlyOf(t, records, audit.Completed), audit.Rejected, "body_malformed", 400, 0)
				return
			}
			if len(records) > 0 || rec.hits() > 0 {
				t.Errorf("got %d records and %d requests upstream, want none", len(records), rec.hits())
			}
			eventually(t, "counting it", func() bool {
				return scrape(t, reg)["tollbook_requests_unparsed_total"] == 1
			})
		})
	}
}

// wantOneRequest looks at the bytes of the request upstream.
func wantOneRequest(t *testing.T, raw, body string) {
	t.Helper()
	if !strings.HasPrefix(raw, "POST / HTTP/1.1\r\n") || strings.Count(raw, " HTTP/1.1\r\n") !=
		1+strings.Count(body, " HTTP/1.1\r\n") {
		t.Errorf("got %.60q upstream, want one request for /", raw)
	}
	lengths, codings := headerOf(raw, "Content-Length"), headerOf(raw, "Transfer-Encoding")
	_, content, _ := strings.Cut(raw, "\r\n\r\n")
	want := body
	if len(codings) > 0 {
		want = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
		if body == "" {
			want = "0\r\n\r\n"
		}
	}
	if len(lengths)+len(codings) != 1 || content != want {
		t.Errorf("got lengths %q, codings %q and content %q, want one of them and %q",
			lengths, codings, content, want)
	}
	if user := headerOf(raw, "X-User-ID"); len(user) != 1 || user[0] != userA {
		t.Errorf("got users %q, want user A alone", user)
	}
}

// What HTTP/1 would take for the end of a header, or for another framing, is no
// request of HTTP/2.
func TestHTTP2RequestsThatWouldBeAnotherAreRefused(t *testing.T) {
	t.Parallel()
	end := func(f frame) frame { f.flags |= flagEndStream; return f }
	for name, f := range map[string]frame{
		"a coding":               headers(1, "/", "transfer-encoding", "chunked"),
		"a connection header":    headers(1, "/", "connection", "x-user-id"),
		"an upgrade":             headers(1, "/", "upgrade", "websocket"),
		"a line in a value":      headers(1, "/", "x-a", "a\r\nx-user-id: user_B"),
		"a line in a name":       headers(1, "/", "x-a\r\nx-user-id", "user_B"),
		"a line in the path":     headers(1, "/ HTTP/1.1\r\nX-User-ID: user_B\r\n\r\nGET /smuggled"),
		"a space in the path":    headers(1, "/ HTTP/1.1"),
		"upper case":             headers(1, "/", "X-User-ID", "user_B"),
		"a late pseudo-header":   headers(1, "/", ":path", "/smuggled"),
		"a length without bytes": end(headers(1, "/", "content-length", "5")),
		"two lengths":            headers(1, "/", "content-length", "0", "content-length", "5"),
	} {
		rec := record(t, okReply)
		s := start(t, rec.addr, setup{})
		c := s.dialHTTP2(1 << 16)
		c.write(f)
		for {
			got, ok := c.read()
			if !ok || got.stream == 1 && (got.kind == frameReset || got.flags&flagEndStream != 0) {
				break
			}
		}
		// net/http takes a length without a body for no body.
		if raw := rec.all(); raw != "" && (!strings.Contains(name, "length") ||
			!strings.HasPrefix(raw, "GET / HTTP/1.1\r\n") || headerOf(raw, "Content-Length") != nil) {
			t.Errorf("%s: got %q upstream, want nothing", name, raw)
		}
		_ = c.Close()
	}
}
