package proxy

import (
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
	client io.ReadCloser
	length int64 // -1 if it is not known
	over   chan struct{}

	mu      sync.Mutex
	sum     digester
	upload  *upload // nil if the body is no multipart
	stopped bool
	err     error // what the client's side ended with, but io.EOF
}

func newRequestBody(r *http.Request) *requestBody {
	return &requestBody{
		client: r.Body, length: r.ContentLength, over: make(chan struct{}),
		sum: newDigester(), upload: newUpload(r.Header.Get("Content-Type")),
	}
}

var errStopped = errors.New("the exchange has ended")

// Read implements [io.Reader] for the transport.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.client.Read(p)
	if b.took(p[:n], err) {
		return n, err
	}
	// The upstream has answered before it had the whole body. To fail here would
	// make the transport cut its reply too.
	<-b.over
	return 0, errStopped
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

// Close implements [io.Closer].
func (b *requestBody) Close() error { return b.client.Close() }

// stop ends the reading and tells how far it came.
func (b *requestBody) stop() *audit.Body {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	return b.sum.digest()
}

// pause is stop for a body whose client is still sending: the read under way is
// made to return.
func (b *requestBody) pause(w http.ResponseWriter) {
	b.stop()
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
}

// release lets a reader go that was kept back. It is called once.
func (b *requestBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	b.upload.stop()
	close(b.over)
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
