package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tollbook/audit"
)

// heldBytes is the length up to which a reply of known length is read whole
// before any of it leaves: an upstream that dies meanwhile is still an honest
// 502, and a record that can't be written an honest 500.
const heldBytes = 64 << 10

// errStatus is of a reply that net/http reads and does not write: what came of it
// would be recorded, and no client would have it.
var errStatus = errors.New("the reply has a status below 100")

// modifyResponse sees the upstream's reply before any of it has left, and keeps
// its end back until the outcome is recorded.
func modifyResponse(res *http.Response) error {
	x := exchangeOf(res.Request)
	x.req.written()
	x.h.Metrics.Upstream(x.h.Now().Sub(x.forward))
	if res.StatusCode < firstStatus {
		return errStatus
	}
	x.upstreamStatus, x.sent = res.StatusCode, res.StatusCode
	res.Header[headerRequestID] = []string{x.record.RequestID}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return x.openTunnel(res)
	}
	if isEventStream(res.Header) {
		if err := x.becomeStream(); err != nil {
			return err
		}
	}
	if x.bodyInTheWay() || x.h.draining.Load() {
		res.Header.Set("Connection", "close")
	}
	x.res = newResponseBody(x, res)
	switch size := res.ContentLength; {
	case bodiless(x.r.Method, res.StatusCode):
		return x.holdWhole(res, 0)
	case size >= 0 && size <= heldBytes:
		return x.holdWhole(res, size)
	default:
		if c := x.oldClient(); c != nil && size < 0 {
			c.endWithReset(true) // until the outcome is recorded
		}
		res.Body = x.res
		return nil
	}
}

// bodiless reports whether a reply ends with its head (RFC 9112 §6.3), whatever
// its Content-Length says.
func bodiless(method string, status int) bool {
	return method == http.MethodHead || status == http.StatusNoContent ||
		status == http.StatusNotModified
}

// holdWhole reads a short reply to its end, records the outcome, and leaves the
// bytes to be sent from memory.
func (x *exchange) holdWhole(res *http.Response, size int64) error {
	content := make([]byte, size)
	if err := x.res.readWhole(content); err != nil {
		return err
	}
	if err := x.finish(audit.OK, ""); err != nil {
		return err
	}
	x.paceWrite()
	res.Body = held{bytes.NewReader(content), x.res}
	return nil
}

// held is a reply in memory; closing it closes the upstream's.
type held struct {
	io.Reader
	io.Closer
}

// A responseBody passes the upstream's reply on and keeps its end: the read that
// would tell the client that it has everything waits for the record.
type responseBody struct {
	x        *exchange
	upstream io.ReadCloser
	length   int64 // -1 if it is not known
	digester
	lift *lifter // nil if nothing is to be lifted
	end  error   // what the reads after the last one return
}

func newResponseBody(x *exchange, res *http.Response) *responseBody {
	return &responseBody{
		x: x, upstream: res.Body, length: res.ContentLength,
		digester: newDigester(), lift: newLifter(x.h.ResponseFields, res),
	}
}

// readWhole reads the reply to its end, which must be where content ends: an
// HTTP/2 upstream may still send trailers there.
func (b *responseBody) readWhole(content []byte) error {
	n, err := io.ReadFull(b.upstream, content)
	b.take(content[:n])
	if err == nil {
		err = b.readEnd()
	}
	if err != nil {
		return fmt.Errorf("reading the reply: %w", err)
	}
	b.reached()
	return nil
}

// readEnd checks that nothing follows.
func (b *responseBody) readEnd() error {
	var more [1]byte
	n, err := b.upstream.Read(more[:])
	switch {
	case n > 0:
		return errors.New("more bytes than the reply's length")
	case err == nil:
		return io.ErrNoProgress
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

func (b *responseBody) take(p []byte) {
	b.add(p)
	b.lift.add(p)
}

// reached notes that the reply is whole.
func (b *responseBody) reached() {
	b.complete = true
	b.x.liftFields(b.lift)
}

// Read implements [io.Reader].
func (b *responseBody) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	if b.flush() != nil { // the client is gone, or has stalled: close finds out
		b.end = context.Canceled
		return 0, b.end
	}
	b.x.restWrite()
	n, err := b.upstream.Read(p)
	b.x.paceWrite()
	b.take(p[:n])
	if err == nil && b.bytes == b.length {
		err = b.readEnd()
		if err == nil {
			err = io.EOF
		}
	}
	switch {
	case err == nil:
		return n, nil
	case b.bytes == b.length && !errors.Is(err, io.EOF):
		return 0, b.fail(err) // these bytes would make the reply look whole
	case !errors.Is(err, io.EOF):
		return n, b.fail(err)
	case b.length < 0 && n > 0:
		return n, nil // only the end waits: the next Read finds it again
	default:
		return b.last(n)
	}
}

// flush lets go of what has been copied, since the upstream may take its time for
// more. ReverseProxy would from another goroutine, even when there is no body:
// then a reply of HTTP/2 whose head is its end would be torn in two frames by
// chance, and clients of gRPC find no status in the first of them. It does flush
// replies of unknown length itself.
func (b *responseBody) flush() error {
	if b.length < 0 {
		return nil
	}
	return http.NewResponseController(b.x.w).Flush()
}

// last records the outcome and lets the reply's end go.
func (b *responseBody) last(n int) (int, error) {
	b.reached()
	if err := b.x.finish(audit.OK, ""); err != nil {
		b.end = err
		b.x.reset()
		return 0, err
	}
	if c := b.x.oldClient(); c != nil {
		c.endWithReset(false)
	}
	b.end = io.EOF
	return n, io.EOF
}

// fail records that the reply broke off. The error makes ReverseProxy cut the
// client's.
func (b *responseBody) fail(err error) error {
	outcome, rep := b.x.diagnose(err)
	b.x.logEnd(err, outcome)
	_ = b.x.finish(outcome, rep.reason) // the reply is cut in any case
	b.end = err
	b.x.reset()
	return err
}

// Close implements [io.Closer]. An HTTP/2 stream is closed when its request's body
// has been too, for which a client that is still sending must not be waited for.
func (b *responseBody) Close() error {
	if b.x.closed && b.x.req != nil {
		b.x.req.release()
	}
	return b.upstream.Close()
}

// reset makes the connection of an old client end with a reset.
func (x *exchange) reset() {
	if c := x.oldClient(); c != nil {
		c.reset()
	}
}

// oldClient returns the connection of a client of HTTP/1.0, which takes the end of
// the connection for the end of the reply; nil of another client.
func (x *exchange) oldClient() *conn {
	if x.r.ProtoAtLeast(1, 1) {
		return nil
	}
	return connOf(x.r.Context())
}
