package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"tollbook/audit"
)

// A digester takes the SHA-256 and the length of what passes.
type digester struct {
	hash     hash.Hash
	bytes    int64
	complete bool // the end was reached
}

func newDigester() digester { return digester{hash: sha256.New()} }

func (d *digester) add(p []byte) {
	_, _ = d.hash.Write(p) // never fails (hash.Hash)
	d.bytes += int64(len(p))
}

func (d *digester) digest() *audit.Body {
	b := &audit.Body{Bytes: d.bytes, Complete: d.complete}
	d.hash.Sum(b.SHA256[:0])
	return b
}

// emptyBody tells of a request without a body.
func emptyBody() *audit.Body {
	return &audit.Body{SHA256: sha256.Sum256(nil), Complete: true}
}

func hashText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// A requestBody passes the client's body on and digests it. The transport reads
// it on a goroutine of its own, perhaps for longer than it takes the upstream to
// answer; so its state is locked, and what is read after stop does not count and
// goes nowhere.
type requestBody struct {
	client  io.ReadCloser
	length  int64 // -1 if it is not known
	control *http.ResponseController
	unwatch func() bool
	once    sync.Once // of release

	mu      sync.Mutex
	sum     digester
	upload  *upload // nil if the body is no multipart
	stopped bool
	err     error // what the client's side ended with, but io.EOF
}

// newRequestBody must be released. A client that stalls does not keep a request
// whose context is done.
func newRequestBody(w http.ResponseWriter, r *http.Request) *requestBody {
	b := &requestBody{
		client: r.Body, length: r.ContentLength,
		control: http.NewResponseController(w),
		sum:     newDigester(), upload: newUpload(r.Header.Get("Content-Type")),
	}
	b.unwatch = context.AfterFunc(r.Context(), b.interrupt)
	return b
}

// interrupt makes the read under way return. It is for requests that are over:
// net/http cancels the request when a read of its connection fails.
func (b *requestBody) interrupt() { _ = b.control.SetReadDeadline(time.Unix(1, 0)) }

var errStopped = errors.New("the exchange has ended")

// Read implements [io.Reader] for the transport.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.complete() {
		return 0, io.EOF // the client's side may be closed: the reply has begun
	}
	n, err := b.client.Read(p)
	if !b.took(p[:n], err) {
		return 0, errStopped // the reply is there, and this has nowhere to go
	}
	return n, err
}

// took notes what was read, unless the body was stopped before.
func (b *requestBody) took(p []byte, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	b.sum.add(p)
	b.upload.write(p)
	switch {
	case errors.Is(err, io.EOF), b.sum.bytes == b.length:
		b.sum.complete = true
	case err != nil:
		b.err = err
	}
	return true
}

// Close implements [io.Closer] for the transport, which closes when it likes. The
// client's side is closed by release: net/http reads on when it closes a body,
// and cancels the request, whose reply may be on its way, when that fails.
func (b *requestBody) Close() error { return nil }

// stop ends the reading and tells how far it came.
func (b *requestBody) stop() *audit.Body {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	return b.sum.digest()
}

// release lets go of the client's side once the outcome is recorded. Nothing is
// read after it. Only the first call counts.
func (b *requestBody) release() { b.once.Do(b.letGo) }

func (b *requestBody) letGo() {
	b.unwatch()
	b.mu.Lock()
	b.stopped = true
	b.upload.stop()
	complete := b.sum.complete
	b.mu.Unlock()
	if !complete {
		b.interrupt() // or Close would wait for the client
	}
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

// aborted reports whether the client left before it had sent its body.
func (b *requestBody) aborted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil && connectionError(b.err)
}

// malformed reports whether the client's body was not framed as it should be.
func (b *requestBody) malformed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil && !connectionError(b.err)
}

// connectionError reports whether a body ended because its connection did.
func connectionError(err error) bool {
	var network net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, http.ErrBodyReadAfterClose) ||
		errors.As(err, &network) || errors.Is(err, net.ErrClosed)
}
