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
	// DialTimeout bounds the connecting, and a TLS handshake by itself; 0 means
	// no bound of ours.
	DialTimeout time.Duration
	// HeaderTimeout bounds the wait for the reply's head once the request has
	// been sent, and before that every wait for the upstream to take more of it;
	// 0 means no bound.
	HeaderTimeout time.Duration

	// CAFile holds the roots of an https upstream, in PEM form; then no others
	// are trusted. Empty means the system's.
	CAFile string
	// CertFile and KeyFile are what an https upstream knows us by: see
	// CertificateConfig. Empty means that it does not.
	CertFile, KeyFile string
	// OnReload is told when these files have changed, which counts for new
	// connections, on the goroutine of one; nil means that nobody is.
	OnReload func(Reload)
	// Now is the clock of the files and certificates; nil means time.Now.
	Now func() time.Time
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
// encodings. An https upstream is held to the host of its URL. An error names the
// file that can't be used, and why. The caller may close its idle connections.
func NewTransport(cfg TransportConfig) (*http.Transport, *url.URL, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	dialer := &net.Dialer{Timeout: cfg.DialTimeout, KeepAliveConfig: keepAlive}
	dial := dialFunc(dialer.DialContext).impatient(cfg.HeaderTimeout)
	t := &http.Transport{
		DialContext:           dial,
		ResponseHeaderTimeout: cfg.HeaderTimeout,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       upstreamIdle,
		MaxIdleConns:          maxIdleUpstream,
		MaxIdleConnsPerHost:   maxIdleUpstream,
		DisableCompression:    true,

		MaxResponseHeaderBytes: maxReplyHeaderBytes,
		Protocols:              new(http.Protocols),
		HTTP2:                  pings(),
	}
	target := *cfg.Upstream
	if target.Scheme != "https" && cfg.CAFile+cfg.CertFile+cfg.KeyFile != "" {
		return nil, nil, fmt.Errorf("proxy: upstream scheme %q has no TLS: "+
			"roots and certificates are for https", target.Scheme)
	}
	switch target.Scheme {
	case "http":
		t.Protocols.SetHTTP1(true)
	case "https":
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
		secure, err := newUpstreamTLS(dial, &cfg)
		if err != nil {
			return nil, nil, err
		}
		t.DialTLSContext = secure.dial
	case "h2c":
		t.Protocols.SetUnencryptedHTTP2(true)
		target.Scheme = "http"
	case "unix":
		t.Protocols.SetHTTP1(true)
		t.DialContext = dialAt(dial, "unix", target.Path)
		target = url.URL{Scheme: "http", Host: "localhost"}
	default:
		return nil, nil, fmt.Errorf("proxy: upstream scheme %q: want http, https, h2c or unix",
			target.Scheme)
	}
	return t, &target, nil
}

// dialAt dials a network and address whatever the URL says.
func dialAt(dial dialFunc, network, address string) dialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, network, address)
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
