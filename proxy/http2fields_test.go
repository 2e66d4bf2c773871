package proxy_test

import "strings"

// initialWindow is what a server may send on a stream at first (RFC 9113 §6.9.2).
const initialWindow = 65535

// A fieldPeer is an [http2Peer] for requests that no client library would send.
type fieldPeer struct{ *http2Peer }

func (s *sidecar) dialFields() fieldPeer {
	s.t.Helper()
	return fieldPeer{s.dialHTTP2(initialWindow)}
}

func (f fieldPeer) send(kind, flags byte, stream uint32, payload string) {
	f.write(frame{kind: kind, flags: flags, stream: stream, payload: []byte(payload)})
}

// headers sends header fields, each a name and a value with ": " between them.
func (f fieldPeer) headers(stream uint32, flags byte, fields ...string) {
	var parts []string
	for _, field := range fields {
		name, value, _ := strings.Cut(field[1:], ": ")
		parts = append(parts, field[:1]+name, value)
	}
	f.send(frameHeaders, flags|flagEndHeaders, stream, string(hpack(parts)))
}

// answer reads to the end of the stream, and returns the content of the reply, or
// what ended it otherwise.
func (f fieldPeer) answer(stream uint32) (content string) {
	f.t.Helper()
	for {
		got, ok := f.read()
		switch {
		case !ok:
			return "closed"
		case got.stream != stream:
			continue
		case got.kind == frameReset:
			return "reset"
		case got.kind == frameData:
			content += string(got.payload)
		}
		if got.kind <= frameHeaders && got.flags&flagEndStream != 0 {
			return content
		}
	}
}
