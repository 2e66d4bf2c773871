package main_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// drip is how long the slow ones wait between two bytes, on the average.
const drip = 200 * time.Millisecond

// dripping waits for the next byte. They must not all come at once.
func dripping() { time.Sleep(drip/2 + rand.N(drip)) } //nolint:gosec // G404: any time will do

// idle connections have had a reply and ask nothing more.
func (s *soak) idle(t *testing.T, n int) (done func()) {
	t.Helper()
	return s.dialAll(t, n, func(c net.Conn, ready func()) {
		in := bufio.NewReaderSize(c, 512)
		if s.get(c, in, "/jobs") == nil {
			ready()
			_, _ = in.ReadByte() // until it is closed
		}
	})
}

// get sends a good request and reads the reply.
func (s *soak) get(c net.Conn, in *bufio.Reader, path string, header ...string) error {
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: soak", "Authorization: Bearer " + s.tokens.current(),
	}, header...)
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		_, err = io.Copy(io.Discard, res.Body)
	}
	return err
}

// webSockets say something now and then, and hear it.
func (s *soak) webSockets(t *testing.T, n int) (done func()) {
	t.Helper()
	return s.dialAll(t, n, func(c net.Conn, ready func()) {
		in := bufio.NewReaderSize(c, 512)
		if s.get(c, in, "/ws", "Connection: Upgrade", "Upgrade: websocket") != nil {
			return
		}
		ready()
		for {
			if _, err := io.WriteString(c, "ping"); err != nil {
				return
			}
			if _, err := in.Discard(len("ping")); err != nil {
				return
			}
			dripping()
		}
	})
}

// slowHeaders never come to the end of a request's head.
func (s *soak) slowHeaders(t *testing.T, n int) (done func()) {
	t.Helper()
	return s.dialAll(t, n, func(c net.Conn, ready func()) {
		_, _ = io.WriteString(c, "GET /jobs HTTP/1.1\r\nHost: soak\r\nX-Slow: ")
		ready()
		drop(c)
	})
}

// slowBodies are those of good requests.
func (s *soak) slowBodies(t *testing.T, n int) (done func()) {
	t.Helper()
	return s.dialAll(t, n, func(c net.Conn, ready func()) {
		_, _ = io.WriteString(c, "POST /jobs HTTP/1.1\r\nHost: soak\r\nContent-Length: 1000000\r\n"+
			"Authorization: Bearer "+s.tokens.current()+"\r\n\r\n")
		ready()
		drop(c)
	})
}

// drop sends byte after byte, slowly, until the connection ends.
func drop(c net.Conn) {
	for {
		if _, err := io.WriteString(c, "a"); err != nil {
			return
		}
		dripping()
	}
}

// refusals are asked for as fast as they are given, without a token.
func (s *soak) refusals(t *testing.T, n int) (done func()) {
	t.Helper()
	return s.dialAll(t, n, func(c net.Conn, ready func()) {
		in := bufio.NewReader(c)
		for {
			if _, err := io.WriteString(c, "GET /jobs HTTP/1.1\r\nHost: soak\r\n\r\n"); err != nil {
				return
			}
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				return
			}
			_, err = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if err != nil {
				return
			}
			ready()
		}
	})
}

// The frames of a request that is taken back at once (RFC 9113 §4.1): without a
// token, so that nothing is recorded but its refusal.
const (
	frameHeaders, frameReset = 0x1, 0x3
	endStreamAndHeaders      = 0x1 | 0x4
	cancelCode               = 0x8
	http2Hello               = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	// HPACK (RFC 7541): :method GET, :scheme http, :path /, :authority soak.
	getSoak = "\x82\x86\x84\x41\x04soak"
)

// rapidReset opens streams and resets them as fast as it can (CVE-2023-44487).
func (s *soak) rapidReset(t *testing.T, n int) (done func()) {
	t.Helper()
	return s.dialAll(t, n, func(c net.Conn, ready func()) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		out := bufio.NewWriter(c)
		_, _ = out.WriteString(http2Hello)
		for id := uint32(1); ; id += 2 {
			writeFrame(out, frameHeaders, endStreamAndHeaders, id, []byte(getSoak))
			writeFrame(out, frameReset, 0, id, []byte{0, 0, 0, cancelCode})
			if id%256 != 1 {
				continue
			}
			if out.Flush() != nil {
				return
			}
			ready()
		}
	})
}

// writeFrame leaves an error to the next Flush.
func writeFrame(out *bufio.Writer, kind, flags byte, stream uint32, payload []byte) {
	head := []byte{0, 0, byte(len(payload)), kind, flags} //nolint:gosec // G115: ours are short
	_, _ = out.Write(binary.BigEndian.AppendUint32(head, stream))
	_, _ = out.Write(payload)
}
