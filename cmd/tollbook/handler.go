package main

import (
	"context"
	"crypto/tls"

	"go.uber.org/zap"

	"tollbook/proxy"
)

// openHandler makes the request path, from the traffic port to the upstream.
func (s *sidecar) openHandler(context.Context) error {
	u := s.cfg.Upstream
	transport, target, err := proxy.NewTransport(proxy.TransportConfig{
		Upstream: u.URL, DialTimeout: u.DialTimeout, HeaderTimeout: u.HeaderTimeout,
		CAFile: u.CAFile, CertFile: u.CertFile, KeyFile: u.KeyFile, OnReload: s.reloaded,
	})
	if err != nil {
		return err
	}
	s.transport = transport
	s.closing(func() error { transport.CloseIdleConnections(); return nil })
	cfg := s.proxyConfig()
	cfg.Upstream, cfg.Transport = target, transport
	if s.handler, err = proxy.New(cfg); err != nil {
		return err
	}
	s.metrics.Watch(proxy.Load{
		InFlight: s.handler.InFlight, Streams: s.handler.Streams,
		MaxInFlight: cfg.MaxInFlight, MaxStreams: cfg.MaxStreams,
	})
	certificate, err := s.certificate()
	if err != nil {
		return err
	}
	l := s.cfg.Limits
	s.server = proxy.NewServer(s.handler, proxy.ServerConfig{
		ReadHeaderTimeout: l.ReadHeaderTimeout, IdleTimeout: l.IdleTimeout,
		MaxHeaderBytes: int(l.MaxHeaderBytes), TLS: certificate,
	})
	return nil
}

// proxyConfig is what the settings say of the request path.
func (s *sidecar) proxyConfig() proxy.Config {
	c, l := s.cfg, s.cfg.Limits
	return proxy.Config{
		UpstreamHost: c.Upstream.Host, Verifier: s.verifier, Trail: s.trail,
		Events: events(c.Audit.Events), ResponseFields: c.Audit.ResponseFields,
		UserIDHeader: c.UserIDHeader, ClaimHeaders: claimHeaders(c.ClaimHeaders),
		AllowHeaders: c.AllowHeaders, ForwardAuthorization: c.ForwardAuthorization,
		DenyImpersonation: c.Clerk.denyImpersonation(), Leeway: c.Clerk.Leeway,
		TokenCookie: c.TokenCookie, CookieOrigins: c.Clerk.AuthorizedParties,
		PublicRoutes: c.PublicRoutes, ReasonMethods: c.ReasonMethods,
		ForwardPreflights: c.CORS.forwardPreflights(), CORSOrigins: c.CORS.Origins,
		TrustedProxies: c.TrustedProxies.Prefixes, TrustUnix: c.TrustedProxies.Unix,
		MaxBodyBytes: int64(l.MaxBodyBytes), StallTimeout: l.StallTimeout,
		MaxInFlight: int64(l.MaxInFlight), MaxStreams: int64(l.MaxStreams),
		UpstreamStall:  c.Upstream.HeaderTimeout,
		StreamLifetime: l.StreamLifetime.Duration, TokenLifetime: l.StreamLifetime.Token,
		HideReasons: !c.DetailedErrors, Metrics: s.metrics, Log: s.log.Named("proxy"),
	}
}

// certificate loads what clients know us by; nil without TLS.
func (s *sidecar) certificate() (*tls.Config, error) {
	t := s.cfg.TLS
	if t.CertFile == "" {
		return nil, nil //nolint:nilnil // plain HTTP
	}
	certificate, err := proxy.LoadCertificate(proxy.CertificateConfig{
		CertFile: t.CertFile, KeyFile: t.KeyFile, OnReload: s.reloaded,
	})
	if err != nil {
		return nil, err
	}
	return certificate.TLSConfig(), nil
}

// reloaded logs what became of changed certificates.
func (s *sidecar) reloaded(r proxy.Reload) {
	log := s.log.Named("tls").With(zap.Strings("files", r.Files))
	switch {
	case r.Err != nil:
		log.Error("the changed files can't be used; the old ones still are", zap.Error(r.Err))
	case r.NotAfter.IsZero():
		log.Info("reloaded")
	default:
		log.Info("reloaded", zap.Time("not_after", r.NotAfter))
	}
}

func events(list []event) []proxy.Event {
	out := make([]proxy.Event, len(list))
	for i, e := range list {
		out[i] = proxy.Event(e)
	}
	return out
}

func claimHeaders(list []claimHeader) []proxy.ClaimHeader {
	out := make([]proxy.ClaimHeader, len(list))
	for i, c := range list {
		out[i] = proxy.ClaimHeader(c)
	}
	return out
}
