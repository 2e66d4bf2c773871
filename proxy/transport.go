package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// A TransportConfig says how to reach the upstream.
type TransportConfig struct {
	// Upstream is http://host:port, https://host:port, h2c://host:port or
	// unix:///path.
	Upstream *url.URL
	// DialTimeout bounds the connecting; 0 means no bound of ours.
	DialTimeout time.Duration
	// HeaderTimeout bounds the wait for the reply's head once the request has
	// been sent; 0 means no bound.
	HeaderTimeout time.Duration
}

// upstreamIdle is how long a connection to the upstream is kept for the next
// request: less than the 5 s after which Uvicorn, Node and others close theirs,
// so that no request is sent into a connection that is being closed.
const upstreamIdle = 4 * time.Second

// maxReplyHeaderBytes bounds the head of a reply.
const maxReplyHeaderBytes = 1 << 20

// maxIdleUpstream is how many connections are kept.
const maxIdleUpstream = 512

// NewTransport returns a transport for one upstream, and the URL to forward to.
// It takes no proxies from the environment, follows no redirects and changes no
// encodings. The caller may close its idle connections.
func NewTransport(cfg TransportConfig) (*http.Transport, *url.URL, error) {
	dialer := &net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: 15 * time.Second}
	t := &http.Transport{
		DialContext:           dialer.DialContext,
		ResponseHeaderTimeout: cfg.HeaderTimeout,
		TLSHandshakeTimeout:   cfg.DialTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       upstreamIdle,
		MaxIdleConns:          maxIdleUpstream,
		MaxIdleConnsPerHost:   maxIdleUpstream,
		DisableCompression:    true,

		MaxResponseHeaderBytes: maxReplyHeaderBytes,
		Protocols:              new(http.Protocols),
	}
	target := *cfg.Upstream
	switch target.Scheme {
	case "http":
		t.Protocols.SetHTTP1(true)
	case "https":
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
	case "h2c":
		t.Protocols.SetUnencryptedHTTP2(true)
		target.Scheme = "http"
	case "unix":
		t.Protocols.SetHTTP1(true)
		t.DialContext = dialAt(dialer, "unix", target.Path)
		target = url.URL{Scheme: "http", Host: "localhost"}
	default:
		return nil, nil, fmt.Errorf("proxy: upstream scheme %q: want http, https, h2c or unix",
			target.Scheme)
	}
	return t, &target, nil
}

// dialAt dials a network and address whatever the URL says.
func dialAt(d *net.Dialer, network, address string) func(
	context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, network, address)
	}
}

// copyBuffers lends ReverseProxy the buffers that it copies with.
type copyBuffers struct{ pool sync.Pool }

// copyBufferSize is ReverseProxy's own.
const copyBufferSize = 32 << 10

// Get implements [httputil.BufferPool].
func (b *copyBuffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[copyBufferSize]byte); ok {
		return buf[:]
	}
	return make([]byte, copyBufferSize)
}

// Put implements [httputil.BufferPool].
func (b *copyBuffers) Put(buf []byte) {
	b.pool.Put((*[copyBufferSize]byte)(buf))
}
