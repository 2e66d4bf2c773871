package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"tollbook/audit"
)

func TestInformationalRepliesHaveABound(t *testing.T) {
	t.Parallel()
	const hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
	s := start(t, scripted(t, func(p *peer, _ *http.Request) {
		for { // until the proxy has had enough
			if _, err := p.Write([]byte(strings.Repeat(hint, 10))); err != nil {
				return
			}
		}
	}), setup{})
	p := s.dial(request("GET /", ""))
	hints := 0
	res := p.reply("GET")
	for res.StatusCode == http.StatusEarlyHints {
		hints++
		res = p.reply("GET")
	}
	wantReply(t, res, http.StatusBadGateway, "upstream_unreachable", "Upstream unreachable")
	if hints == 0 || hints > 200 {
		t.Errorf("got %d hints, want some, and 200 at most", hints)
	}
	wantOutcome(t, s.only(audit.Completed), audit.UpstreamError, "upstream_unreachable", 502, 0)
}
