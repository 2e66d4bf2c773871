package main

import (
	"context"
	"strings"

	"go.uber.org/zap"

	"tollbook/proxy"
)

// openTransport makes the way to the upstream.
func (s *sidecar) openTransport(context.Context) (err error) {
	u := &s.cfg.Upstream
	s.transport, s.target, err = proxy.NewTransport(proxy.TransportConfig{
		Upstream: u.URL, DialTimeout: u.DialTimeout, HeaderTimeout: u.HeaderTimeout,
		CAFile: u.CAFile, CertFile: u.CertFile, KeyFile: u.KeyFile, OnReload: s.reloaded,
	})
	if err != nil {
		return s.mistake(err, &u.CAFile, &u.CertFile, &u.KeyFile)
	}
	s.closing(func() error { s.transport.CloseIdleConnections(); return nil })
	return nil
}

// openCertificate loads what clients know us by, if we speak TLS.
func (s *sidecar) openCertificate(context.Context) error {
	t := &s.cfg.TLS
	if t.CertFile == "" {
		s.registry.MustRegister(certificateMetric(func() float64 { return 0 }))
		return nil
	}
	certificate, err := proxy.LoadCertificate(proxy.CertificateConfig{
		CertFile: t.CertFile, KeyFile: t.KeyFile, OnReload: s.reloaded,
	})
	if err != nil {
		return s.mistake(err, &t.CertFile, &t.KeyFile)
	}
	s.tls = certificate.TLSConfig()
	s.registry.MustRegister(certificateMetric(func() float64 {
		return float64(certificate.NotAfter().Unix())
	}))
	return nil
}

// mistake says which settings a file that can't be used comes from.
func (s *sidecar) mistake(err error, files ...*string) error {
	var names []string
	for _, file := range files {
		if *file != "" {
			names = append(names, settingOf(settingsOf(&s.cfg), file).name)
		}
	}
	text := strings.TrimPrefix(err.Error(), "proxy: ")
	return configError{strings.Join(names, ", ") + ": " + text}
}

// openHandler makes the request path, from the traffic port to the upstream.
func (s *sidecar) openHandler(context.Context) (err error) {
	cfg := s.proxyConfig()
	if s.handler, err = proxy.New(cfg); err != nil {
		return err
	}
	s.metrics.Watch(proxy.Load{
		InFlight: s.handler.InFlight, Streams: s.handler.Streams,
		MaxInFlight: cfg.MaxInFlight, MaxStreams: cfg.MaxStreams,
	})
	l := s.cfg.Limits
	s.server = proxy.NewServer(s.handler, proxy.ServerConfig{
		ReadHeaderTimeout: l.ReadHeaderTimeout, IdleTimeout: l.IdleTimeout,
		MaxHeaderBytes: int(l.MaxHeaderBytes), TLS: s.tls,
	})
	return nil
}

// proxyConfig is what the settings say of the request path.
func (s *sidecar) proxyConfig() proxy.Config {
	c, l := s.cfg, s.cfg.Limits
	return proxy.Config{
		Upstream: s.target, UpstreamHost: c.Upstream.Host, Transport: s.transport,
		Verifier: s.verifier, Trail: s.trail,
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
