package proxy

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"tollbook/audit"
)

var errTunnel = errors.New("upstream switched protocols without being asked to")

// openTunnel refuses any other protocol than the one asked for. ReverseProxy
// would too, but leave the upstream's connection open.
func (x *exchange) openTunnel(res *http.Response) error {
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok || !x.upgrade || !strings.EqualFold(res.Header.Get("Upgrade"), "websocket") {
		return errTunnel
	}
	x.tunnel = newTunnel(upstream)
	res.Body = x.tunnel
	return nil
}

// A tunnel is the upstream's connection after protocols were switched. What
// passes is digested and not changed.
type tunnel struct {
	upstream io.ReadWriteCloser

	mu      sync.Mutex // the directions have goroutines of their own
	toUp    digester
	fromUp  digester
	counted bool // what passes now is not counted any more
}

func newTunnel(upstream io.ReadWriteCloser) *tunnel {
	return &tunnel{upstream: upstream, toUp: newDigester(), fromUp: newDigester()}
}

// Read implements [io.Reader].
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.upstream.Read(p)
	t.note(&t.fromUp, p[:n], errors.Is(err, io.EOF))
	return n, err
}

// Write implements [io.Writer].
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.upstream.Write(p)
	t.note(&t.toUp, p[:n], false)
	return n, err
}

// CloseWrite passes on that the client will say no more.
func (t *tunnel) CloseWrite() error {
	t.note(&t.toUp, nil, true)
	if half, ok := t.upstream.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements [io.Closer].
func (t *tunnel) Close() error { return t.upstream.Close() }

func (t *tunnel) note(d *digester, p []byte, complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.counted {
		d.add(p)
		d.complete = d.complete || complete
	}
}

// digests ends the counting and tells what went to the upstream, and what came
// from it.
func (t *tunnel) digests() (req, res *audit.Body) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted = true
	return t.toUp.digest(), t.fromUp.digest()
}
