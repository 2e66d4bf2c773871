package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"tollbook/proxy/admin"
)

// abortGrace is how long requests that were cut may take to record that.
const abortGrace = 3 * time.Second

// Bounds of the admin listener.
const (
	adminTimeout     = 10 * time.Second
	adminHeaderBytes = 16 << 10
)

// serve serves on both listeners until ctx ends, the trail fails for good or a
// listener breaks, and then drains. Only the last two are errors.
func (s *sidecar) serve(ctx context.Context) error {
	operator := &http.Server{
		Handler:     admin.Handler(s.scrape(), s.checks()...),
		ReadTimeout: adminTimeout, WriteTimeout: adminTimeout,
		MaxHeaderBytes: adminHeaderBytes, ErrorLog: zap.NewStdLog(s.log.Named("admin")),
	}
	broken := make(chan error, 2)
	go func() { broken <- s.server.Serve(s.traffic) }()
	go func() { broken <- operator.Serve(s.admin) }()
	cause := s.watch(ctx, broken)
	s.draining.Store(true)
	s.handler.Drain()
	if cause == nil {
		cause = s.delay(broken)
	}
	err := s.drain()
	return errors.Join(cause, err, operator.Close())
}

// watch waits for the end of ctx, which is no error, or for what ends serving
// before: a trail that fails for good, or a listener that breaks.
func (s *sidecar) watch(ctx context.Context, broken <-chan error) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.trail.Failed():
		s.trailReported = true
		return s.trail.Err()
	case err := <-broken:
		return err
	}
}

// delay goes on serving for as long as DrainDelay while /readyz says no.
func (s *sidecar) delay(broken <-chan error) error {
	s.log.Info("draining", zap.Duration("delay", s.cfg.DrainDelay),
		zap.Duration("timeout", s.cfg.DrainTimeout))
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainDelay)
	defer cancel()
	return s.watch(ctx, broken)
}

// drain lets the requests in flight finish for as long as DrainTimeout, and cuts
// the others.
func (s *sidecar) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	err := errors.Join(s.server.Shutdown(ctx), s.handler.Wait(ctx))
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.log.Warn("drain: cutting the requests that are still in flight")
	s.handler.Abort()
	grace, cancelGrace := context.WithTimeout(context.Background(), abortGrace)
	defer cancelGrace()
	if err := s.handler.Wait(grace); err != nil {
		s.log.Error("drain: requests that don't end", zap.Error(err))
	}
	return s.server.Close()
}
