package proxy_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// Frames, flags and settings of HTTP/2 (RFC 9113 §6).
const (
	frameData         = 0
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	framePing         = 6
	frameGoAway       = 7
	frameWindow       = 8
	frameContinuation = 9

	flagEndStream, flagAck = 1, 1
	flagEndHeaders         = 4

	settingWindow = 4
)

// A frame is one of HTTP/2.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

// An http2Peer speaks HTTP/2 by hand, with prior knowledge. It acknowledges
// nothing but settings and pings.
type http2Peer struct {
	net.Conn
	t testing.TB
}

// dialHTTP2 connects; window is what the server may send on each stream.
func (s *sidecar) dialHTTP2(window uint32) *http2Peer {
	s.t.Helper()
	c := &http2Peer{s.dial("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").TCPConn, s.t}
	setting := binary.BigEndian.AppendUint16(nil, settingWindow)
	c.write(frame{kind: frameSettings, payload: binary.BigEndian.AppendUint32(setting, window)})
	return c
}

// write sends frames at once. The other side may have had enough.
func (c *http2Peer) write(frames ...frame) (ok bool) {
	var out []byte
	for _, f := range frames {
		n := len(f.payload)
		out = append(out, byte(n>>16), byte(n>>8), byte(n), f.kind, f.flags) //nolint:gosec // a length
		out = binary.BigEndian.AppendUint32(out, f.stream)
		out = append(out, f.payload...)
	}
	_, err := c.Write(out)
	return err == nil
}

// headers is a request of user A without a body, in plain HPACK.
func headers(stream uint32, path string, more ...string) frame {
	fields := append([]string{
		":method", "GET", ":scheme", "http", ":authority", "api.example", ":path", path,
		"authorization", "Bearer " + goodToken(),
	}, more...)
	return frame{
		kind: frameHeaders, flags: flagEndStream | flagEndHeaders, stream: stream, payload: hpack(fields),
	}
}

// hpack encodes names and values as literals that nobody remembers (RFC 7541
// §6.2.2).
func hpack(fields []string) (out []byte) {
	for i, text := range fields {
		if i%2 == 0 {
			out = append(out, 0)
		}
		const prefix = 127
		if n := len(text); n < prefix {
			out = append(out, byte(n))
		} else {
			out = binary.AppendUvarint(append(out, prefix), uint64(n-prefix))
		}
		out = append(out, text...)
	}
	return out
}

// grant lets the server send more on a stream, and on the connection.
func (c *http2Peer) grant(stream, bytes uint32) {
	payload := binary.BigEndian.AppendUint32(nil, bytes)
	c.write(frame{kind: frameWindow, stream: stream, payload: payload},
		frame{kind: frameWindow, payload: payload})
}

// readAny returns the next frame; false means that there is none.
func (c *http2Peer) readAny() (frame, bool) {
	var head [9]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return frame{}, false
	}
	f := frame{
		kind: head[3], flags: head[4], stream: binary.BigEndian.Uint32(head[5:]),
		payload: make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2])),
	}
	_, err := io.ReadFull(c.Conn, f.payload)
	return f, err == nil
}

// read returns the next frame that is not about settings and pings; false means
// that the connection has ended.
func (c *http2Peer) read() (frame, bool) {
	for {
		f, ok := c.readAny()
		if !ok {
			return frame{}, false
		}
		if f.kind != frameSettings && f.kind != framePing {
			return f, true
		}
		if f.flags&flagAck == 0 {
			f.flags = flagAck
			if f.kind == frameSettings {
				f.payload = nil
			}
			c.write(f)
		}
	}
}

// until reads to the first frame of this kind on the stream.
func (c *http2Peer) until(kind byte, stream uint32) frame {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		f, ok := c.read()
		if !ok {
			c.t.Fatalf("got the end of the connection, want a frame of kind %d", kind)
		}
		if f.kind == kind && f.stream == stream {
			return f
		}
	}
}

// drain reads to the server's goodbye, or the end of the connection.
func (c *http2Peer) drain() {
	for {
		if f, ok := c.read(); !ok || f.kind == frameGoAway {
			return
		}
	}
}
