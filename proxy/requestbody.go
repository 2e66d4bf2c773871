package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"tollbook/audit"
)

// A requestBody passes the client's body on and digests it. The transport reads
// it on a goroutine of its own, perhaps for longer than it takes the upstream to
// answer; so its state is locked, and what is read after stop does not count and
// goes nowhere.
type requestBody struct {
	client  io.ReadCloser
	length  int64         // -1 if it is not known
	max     int64         // 0 means no bound
	stall   time.Duration // 0 means that it may be quiet
	control *http.ResponseController
	uptake  *uptake
	unwatch func() bool
	once    sync.Once // of release

	mu      sync.Mutex
	sum     digester
	upload  *upload   // nil if the body is no multipart
	by      time.Time // when the client has stalled; zero: never
	over    bool      // the read deadline is not to be set any more
	stopped bool
	stalled bool
	err     error // what the client's side ended with, but io.EOF
}

// newRequestBody must be released. A client that stalls does not keep a request
// whose context is done.
func newRequestBody(x *exchange, r *http.Request) *requestBody {
	b := &requestBody{
		client: r.Body, length: r.ContentLength, max: x.h.MaxBodyBytes, stall: x.h.StallTimeout,
		control: http.NewResponseController(x.w), uptake: newUptake(x),
		sum: newDigester(), upload: newUpload(r.Header.Get("Content-Type")),
	}
	if isGRPC(r.Header) && x.known() { // anybody can call a body that
		b.stall = 0
	}
	b.unwatch = context.AfterFunc(r.Context(), b.interrupt)
	return b
}

// interrupt makes the read under way return. It is for requests that are over:
// net/http cancels the request when a read of its connection fails.
func (b *requestBody) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
}

// expire has the read deadline pass for good; b.mu is held.
func (b *requestBody) expire() {
	if !b.over {
		b.over = true
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// pace sets the read deadline, the zero time for none, unless it has passed for
// good.
func (b *requestBody) pace(deadline time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.by = deadline
		_ = b.control.SetReadDeadline(deadline)
	}
}

var (
	errStopped  = errors.New("the exchange has ended")
	errTooLarge = errors.New("the request body is too large")
)

// Read implements [io.Reader] for the transport.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.complete() {
		return 0, io.EOF // the client's side may be closed: the reply has begun
	}
	b.uptake.taken()
	if b.stall > 0 {
		b.pace(time.Now().Add(b.stall))
	}
	n, err := b.client.Read(p)
	if err := b.took(p[:n], err); err != nil {
		return 0, err
	}
	if b.stall > 0 {
		// Passing now, it would end a request whose body is there, and on HTTP/2 a
		// body whose next read the upstream is not ready for.
		b.pace(time.Time{})
	}
	b.uptake.given()
	return n, err
}

// took notes what was read. It is an error when that may not go anywhere: the
// body was stopped before, as the reply is there, or there is too much of it.
func (b *requestBody) took(p []byte, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.stopped:
		return errStopped
	case b.max > 0 && b.sum.bytes+int64(len(p)) > b.max:
		b.err = errTooLarge
		return errTooLarge
	}
	b.sum.add(p)
	b.upload.write(p)
	switch {
	case errors.Is(err, io.EOF), b.sum.bytes == b.length:
		b.sum.complete = true
	case err != nil:
		b.err = err
		b.stalled = errors.Is(err, os.ErrDeadlineExceeded) && !b.by.IsZero() && !time.Now().Before(b.by)
	}
	return nil
}

// Close implements [io.Closer] for the transport, which closes when it likes. The
// client's side is closed by release: net/http reads on when it closes a body,
// and cancels the request, whose reply may be on its way, when that fails.
func (b *requestBody) Close() error { return nil }

// written notes that the upstream has all of the body, or wants no more. A nil
// body has been written.
func (b *requestBody) written() {
	if b != nil {
		b.uptake.close()
	}
}

// stop ends the reading and tells how far it came.
func (b *requestBody) stop() *audit.Body {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	return b.sum.digest()
}

// release lets go of the client's side once the outcome is recorded. Nothing is
// read after it, and no deadline set: the handler may have returned, and net/http
// panics. Only the first call counts.
func (b *requestBody) release() { b.once.Do(b.letGo) }

func (b *requestBody) letGo() {
	b.unwatch()
	b.uptake.close()
	b.mu.Lock()
	b.stopped = true
	b.upload.stop()
	if !b.sum.complete {
		b.expire() // or Close would wait for the client
	}
	b.over = true
	b.mu.Unlock()
	_ = b.client.Close() // what is left of it concerns nobody
}

func (b *requestBody) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sum.complete
}

// metadata tells of the files of a multipart upload, once the body is stopped.
func (b *requestBody) metadata() audit.Object {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.upload.metadata(b.sum.complete)
}

// failed reports whether the body has ended, and not as it should.
func (b *requestBody) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil
}

// diagnose says what came of a body that has failed, and what the client is told.
func (b *requestBody) diagnose() (audit.Outcome, reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case errors.Is(b.err, errTooLarge):
		return audit.Rejected, replyTooLarge
	case b.stalled:
		return audit.Rejected, replyBodyStalled
	case connectionError(b.err):
		return audit.ClientAborted, reply{}
	default:
		return audit.Rejected, replyMalformed
	}
}

// connectionError reports whether a body ended because its connection did, or its
// stream of HTTP/2. What else ends one is malformed.
func connectionError(err error) bool {
	var network net.Error
	if _, reset := errors.AsType[streamResetError](err); reset {
		return true
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, http.ErrBodyReadAfterClose) ||
		errors.As(err, &network) || errors.Is(err, net.ErrClosed) ||
		err.Error() == "client disconnected" // net/http has no name for it
}

// A streamResetError has the fields of the error of HTTP/2 that net/http does not
// export: that is enough to be found as one.
type streamResetError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

// Error implements error.
func (streamResetError) Error() string { return "the stream was reset" }
