package proxy_test

import (
	"slices"
	"strings"
)

// simpleRequest is one that reaches the upstream.
const simpleRequest = "GET /simple HTTP/1.1\r\nHost: api.example\r\n" +
	"Authorization: Bearer {TOKEN}\r\n\r\n"

// asking is a request with a token, as the fuzzer spells it.
func asking(line, body string, header ...string) string {
	return plain(line, body, append(header, "Authorization: Bearer {TOKEN}")...)
}

// spellOut puts in what the fuzzer has short names for: a token, and more requests
// than net/http reads past the end of a body that nobody wants.
func spellOut(input string) string {
	hidden := asking("GET /hidden", "")
	input = strings.Replace(input, "{FILL}", strings.Repeat(hidden, 400<<10/len(goodToken())), 1)
	return strings.ReplaceAll(input, "{TOKEN}", goodToken())
}

// fuzzSeeds are conversations near those that divided servers before.
func fuzzSeeds() []string {
	hidden := asking("GET /hidden", "")
	chunked := "Transfer-Encoding: chunked"
	return slices.Concat(
		[]string{ // what is good
			simpleRequest, plain("GET /", ""), simpleRequest + plain("GET /2", "") + hidden,
			asking("POST /jobs?a;b&%zz", "hello", "Content-Length: 5") + hidden,
			asking("POST /jobs", "5\r\nhello\r\n0\r\n\r\n", chunked) + hidden,
			plain("POST /jobs", hidden, "Content-Length: 90") + hidden,
			asking("HEAD /", "") + asking("OPTIONS *", ""), asking("GET //a/../b%2f?", ""),
			plain("GET /", "", "Cookie: a=b; __session={TOKEN}; c=d"), asking("GET /early", "") + hidden,
			asking("POST /", "hello", "Content-Length: 5", "Expect: 100-continue"),
			asking("POST /early", "hello"+hidden, "Content-Length: 5000"),
			asking("POST /early", "{FILL}", "Content-Length: 90000000"),
			plain("POST /", "{FILL}", "Content-Length: 90000000"),
			asking("POST /early", "5f5e100\r\n{FILL}", chunked),
			asking("POST /early", "5\r\nhello\r\n", chunked) + hidden,
		},
		[]string{ // framing
			asking("POST /", "0\r\n\r\n"+hidden, "Content-Length: 5", chunked),
			asking("POST /", "0\r\n\r\n"+hidden, chunked, "Content-Length: 5"),
			asking("POST /", "hello", "Content-Length: 5", "Content-Length: 5"),
			asking("POST /", "hello", "Content-Length: 5", "Content-Length: 6"),
			asking("POST /", "hello", "Content-Length: +5"), asking("POST /", "hello", "Content-Length: 5, 5"),
			asking("POST /", "5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: identity, chunked"),
			asking("POST /", "5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding : chunked"),
			asking("POST /", "5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: \x0bchunked"),
			asking("POST /", "5;a=b\r\nhello\r\n0\r\n\r\n", chunked) + hidden,
			asking("POST /", "5\nhello\n0\n\n", chunked) + hidden,
			asking("POST /", "0x5\r\nhello\r\n0\r\n\r\n", chunked) + hidden,
			asking("POST /", "5\r\nhelloXX0\r\n\r\n", chunked) + hidden,
			asking("POST /", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n", chunked) + hidden,
			asking("POST /", "5\r\nhello\r\n0\r\nX-User-ID: user_B\r\n\r\n", chunked, "Trailer: X-User-ID"),
			asking("POST /", "5\r\nhello\r\n0\r\nX_User: b\r\n\r\n", chunked, "Trailer: X_User") + hidden,
			asking("POST /", "hello", "Content-Length: 50"), asking("POST /", "5\r\nhel", chunked),
			asking("GET /", "5\r\nhello\r\n0\r\n\r\n", chunked, "Connection: Transfer-Encoding"),
		},
		[]string{ // heads
			asking("GET /", "", "X-A: b\r\n c"), asking("GET /", "", "X-A: b\nX-User-ID: user_B"),
			asking("GET /", "", "X-A: b\rX-User-ID: user_B"), asking("GET /", "", "X-A: \x00"),
			strings.ReplaceAll(simpleRequest, "\r\n", "\n"), "\r\n\r\n" + simpleRequest, " " + simpleRequest,
			"GET / HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n" + hidden,
			"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer {TOKEN}\r\n\r\n",
			asking("GET  /", ""), asking("GET /a b", ""), asking("GET /\x00", ""), asking("G\x00T /", ""),
			asking("GET http://api.example/x", ""), asking("CONNECT api.example:443", "") + hidden,
			asking("TRACE /", ""), asking("GET /#x", ""), asking("GET /\xff", ""), asking("get /", ""),
			"GET / HTTP/1.1\r\nHost: a b\r\nAuthorization: Bearer {TOKEN}\r\n\r\n", simpleRequest[:70],
		},
		[]string{ // who asks, and what is asked for besides
			asking("GET /", "", "X-User-ID: user_B", "x-user-id: user_C", "X-UserID: user_D"),
			asking("GET /", "", "X_User_ID: user_B") + hidden, asking("GET /", "", "X_A: b"), asking("GET /", "", "Connection: X-User-ID"),
			asking("GET /", "", "Authorization: Bearer x"), asking("GET /", "", "X-Actor-ID: user_B"),
			asking("GET /", "", "Te: trailers", "Keep-Alive: 5", "Proxy-Connection: a", "Forwarded: for=b"),
			asking("GET /ws", hidden, "Connection: Upgrade", "Upgrade: websocket"),
			asking("GET /no", hidden, "Connection: Upgrade", "Upgrade: websocket"),
			plain("GET /ws", hidden, "Connection: Upgrade", "Upgrade: websocket"),
			asking("GET /ws", "", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
			asking("POST /ws", "hello", "Content-Length: 5", "Connection: Upgrade", "Upgrade: websocket"),
			"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", asking("PRI *", ""),
			asking("POST /", hidden, "Expect: 100-continue", "Content-Length: 5"),
			asking("POST /", "hello", "Expect: x", "Content-Length: 5") + hidden,
		},
	)
}
