package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"tollbook/audit"
	"tollbook/proxy"
	"tollbook/proxy/admin"
	"tollbook/proxy/clerk"
)

// A sidecar is all of it, opened and listening. openSidecar makes it; its owner
// serves and then closes it.
type sidecar struct {
	cfg       config
	log       *zap.Logger
	anchor    *zap.Logger // for what the trail can be held against, whatever the level
	verifier  *clerk.Verifier
	news      *trailNews
	trail     *audit.Log
	transport *http.Transport
	target    *url.URL    // where transport forwards to
	tls       *tls.Config // of traffic; nil for plain HTTP
	handler   *proxy.Handler
	traffic   net.Listener
	admin     net.Listener
	server    *proxy.Server        // of traffic
	registry  *prometheus.Registry // what /metrics shows: all below is registered with it
	metrics   *proxy.Metrics
	draining  atomic.Bool
	keysMu    sync.Mutex     // held while the trail opens: no change of keys is missed
	closers   []func() error // in the order of opening

	trailReported bool // serve has returned why the trail failed
}

// openSidecar opens the parts in the order in which they need each other. After
// an error nothing stays open. The signed checkpoints go to anchor.
func openSidecar(ctx context.Context, cfg config, log, anchor *zap.Logger) (s *sidecar, err error) {
	s = &sidecar{cfg: cfg, log: log, anchor: anchor}
	parts := []func(context.Context) error{
		s.openMetrics,
		// Files that can't be used are mistakes in the settings: they are found
		// before the trail has a start to tell of.
		s.openTransport, s.openCertificate,
		s.openListeners, s.openKeys, s.openTrail, s.openHandler,
	}
	for _, open := range parts {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// close closes backwards what was opened.
func (s *sidecar) close() error {
	var errs []error
	for _, closer := range slices.Backward(s.closers) {
		errs = append(errs, closer())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *sidecar) closing(closer func() error) { s.closers = append(s.closers, closer) }

// openListeners takes both addresses before anything is served on either.
func (s *sidecar) openListeners(ctx context.Context) (err error) {
	if s.traffic, err = listen(ctx, s.cfg.ListenAddr.Network, s.cfg.ListenAddr.Address); err != nil {
		return err
	}
	s.closing(ignoreClosed(s.traffic.Close))
	if s.admin, err = listen(ctx, "tcp", string(s.cfg.Admin.Addr)); err != nil {
		return err
	}
	s.closing(ignoreClosed(s.admin.Close))
	return nil
}

// ignoreClosed is for listeners, which their server may have closed already.
func ignoreClosed(closer func() error) func() error {
	return func() error {
		if err := closer(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (s *sidecar) openKeys(ctx context.Context) (err error) {
	c := s.cfg.Clerk
	s.verifier, err = clerk.New(ctx, clerk.Config{
		Issuer: c.Issuer,
		Keys: clerk.KeyConfig{
			PEM: string(c.PEMPublicKey), URL: c.JWKSURL, File: c.JWKSFile, Refresh: c.JWKSRefresh,
		},
		Leeway:            c.Leeway,
		AuthorizedParties: c.AuthorizedParties,
		AllowMissingAZP:   c.AllowMissingAZP,
		AcceptTemplates:   c.acceptTemplates(),
		AcceptPending:     c.AcceptPending,
		HeaderClaims:      s.claims(),
		OnKeys:            s.keysChanged,
	})
	if err != nil {
		return err
	}
	s.closing(s.verifier.Close)
	s.registry.MustRegister(keyMetrics{s.verifier})
	return nil
}

func (s *sidecar) claims() []string {
	names := make([]string, len(s.cfg.ClaimHeaders))
	for i, c := range s.cfg.ClaimHeaders {
		names[i] = c.Claim
	}
	return names
}

func (s *sidecar) openTrail(context.Context) (err error) {
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	key, err := s.cfg.Audit.signingKey()
	if err != nil {
		return err
	}
	s.news = newTrailNews(s.log, s.anchor)
	s.closing(s.news.close)
	cfg := audit.Config{
		Dir: s.cfg.Audit.Dir, SigningKey: key, OnState: s.news.state, OnCheckpoint: s.news.checkpoint,
		OnCommit: countCommits(s.registry),
		MaxWait:  s.cfg.Audit.MaxWait, MinFree: int64(s.cfg.Audit.MinFree),
		Start: audit.Object{
			{Name: "keys", Value: keyList(s.verifier.Keys())},
			{Name: "settings_sha256", Value: audit.String(s.cfg.digest())},
			{Name: "version", Value: audit.String(readVersion().String())},
		},
	}
	if !s.cfg.Audit.fsync() {
		cfg.Durability = audit.OS
	}
	if s.trail, err = audit.Open(cfg); err != nil {
		return err
	}
	s.registry.MustRegister(trailMetrics{s.trail})
	s.closing(func() error { // nothing about keys may come after the last record
		err := errors.Join(s.verifier.Close(), s.trail.Close())
		if s.trailReported {
			return nil
		}
		return err
	})
	return nil
}

// checks are what /readyz looks at.
func (s *sidecar) checks() []admin.Check {
	return []admin.Check{
		{Name: "keys", Err: s.verifier.Ready},
		{Name: "audit", Err: s.trail.Err},
		{Name: "draining", Err: func() error {
			if s.draining.Load() {
				return errors.New("shutting down")
			}
			return nil
		}},
	}
}

// keysChanged records and logs what became of a fetch of the keys. What the keys
// were before the trail was open is in its start record.
func (s *sidecar) keysChanged(e clerk.KeysEvent) {
	if e.Err != nil {
		s.log.Warn("keys", zap.Error(e.Err))
		return
	}
	s.log.Info("keys", zap.Int("added", len(e.Added)), zap.Int("removed", len(e.Removed)))
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	if s.trail == nil || len(e.Added)+len(e.Removed) == 0 {
		return
	}
	err := s.trail.Record(context.Background(), "keys_changed", audit.Object{
		{Name: "added", Value: keyList(e.Added)}, {Name: "removed", Value: keyList(e.Removed)},
	})
	if err != nil {
		s.log.Error("recording the change of keys", zap.Error(err))
	}
}

// keyList names keys in the trail.
func keyList(keys []clerk.KeyInfo) audit.Value {
	list := make([]audit.Value, len(keys))
	for i, k := range keys {
		list[i] = audit.Nested(audit.Object{
			{Name: "kid", Value: audit.String(k.ID)}, {Name: "sha256", Value: audit.String(k.SHA256)},
		})
	}
	return audit.List(list...)
}
