package main

import (
	"errors"
	"fmt"
	stdlog "log"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

type serveCommand struct {
	EnvFile string `name:"env-file" help:"Settings file; .env.local if it is there." placeholder:"PATH"`
}

// Run serves until the context ends, and drains.
func (c *serveCommand) Run(a *app) (err error) {
	cfg, loaded, warnings, err := loadConfig(a.environ, a.dir, c.EnvFile)
	anchor := newLogger(a.stderr, min(cfg.LogLevel, zapcore.InfoLevel))
	if loaded != "" {
		anchor.Info("Loaded environment variables from " + loaded)
	}
	for _, warning := range warnings {
		anchor.Warn(warning)
	}
	if err != nil {
		return err
	}
	log := anchor.WithOptions(zap.IncreaseLevel(cfg.LogLevel))
	stdlog.SetFlags(0)
	stdlog.SetOutput(standardLog{log.Named("std")})
	s, err := openSidecar(a.ctx, cfg, log, anchor)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	anchor.Info("serving", zap.String("version", readVersion().String()),
		zap.Stringer("listen", s.traffic.Addr()), zap.Stringer("admin", s.admin.Addr()),
		zap.Stringer("upstream", cfg.Upstream.URL), zap.String("issuer", cfg.Clerk.Issuer),
		zap.String("audit_dir", cfg.Audit.Dir), zap.String("log_id", s.trail.ID()),
		zap.String("verifier_key", s.trail.VerifierKey()))
	if err := s.serve(a.ctx); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
