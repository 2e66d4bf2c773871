package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// An upstreamTLS connects to an upstream of https. What its files hold is looked
// at for each connection.
type upstreamTLS struct {
	connect dialFunc
	timeout time.Duration // of the handshake; 0: none
	config  *tls.Config   // but for roots
	roots   *reloaded[*x509.CertPool]
}

var errHalfPair = errors.New("proxy: upstream certificate: a certificate file and a key file " +
	"go together, and one of them is not set")

// newUpstreamTLS reads the files that cfg names.
func newUpstreamTLS(dial dialFunc, cfg *TransportConfig) (*upstreamTLS, error) {
	u := &upstreamTLS{connect: dial, timeout: cfg.DialTimeout, config: &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: cfg.Upstream.Hostname(),
		NextProtos: []string{"h2", "http/1.1"},
		Time:       cfg.Now,
	}}
	if (cfg.CertFile == "") != (cfg.KeyFile == "") {
		return nil, errHalfPair
	}
	if cfg.CertFile != "" {
		pair, err := LoadCertificate(CertificateConfig{
			CertFile: cfg.CertFile, KeyFile: cfg.KeyFile, OnReload: cfg.OnReload, Now: cfg.Now,
		})
		if err != nil {
			return nil, err
		}
		u.config.GetClientCertificate = pair.forClient
	}
	if cfg.CAFile != "" {
		if err := u.loadRoots(cfg); err != nil {
			return nil, fmt.Errorf("proxy: upstream roots: %w", err)
		}
	}
	return u, nil
}

func (u *upstreamTLS) loadRoots(cfg *TransportConfig) error {
	files := []string{cfg.CAFile}
	u.roots = &reloaded[*x509.CertPool]{
		files: files, now: cfg.Now,
		parse: func(contents [][]byte) (*x509.CertPool, error) {
			return parseRoots(cfg.CAFile, contents[0])
		},
		report: reporter(cfg.OnReload, files, func(*x509.CertPool) (never time.Time) { return never }),
	}
	return u.roots.load()
}

// dial connects and shakes hands, so that the request is not sent, and counts as
// not forwarded, when the upstream is not the one that it should be.
func (u *upstreamTLS) dial(ctx context.Context, network, address string) (net.Conn, error) {
	config := u.config
	if u.roots != nil {
		config = config.Clone()
		config.RootCAs = u.roots.get()
	}
	raw, err := u.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if u.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, u.timeout)
		defer cancel()
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("TLS handshake: %w", err), ignoreClosed(raw.Close()))
	}
	return conn, nil
}

// ignoreClosed is for connections that a handshake may have closed.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
