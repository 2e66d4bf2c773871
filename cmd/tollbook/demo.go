package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap/zapcore"

	"tollbook/audit"
	"tollbook/proxy/clerk/clerktest"
)

type demoCommand struct {
	Stay bool `help:"Keep all of it up and print curl lines to paste."`
}

// The demo's user, and who somebody pretends to be.
const (
	demoUser   = "user_2demoAlice"
	forgedUser = "user_mallory"
)

// demoLife is how long the token of --stay lives; Clerk's own live for 60 s.
const demoLife = time.Hour

// A demo is a stand-in Clerk, a jobs API and the sidecar between them, on free
// loopback ports, with its trail in a folder of its own.
type demo struct {
	*app
	clerk   *clerktest.Server
	key     *clerktest.Key
	jobs    *jobsAPI
	sidecar *sidecar
	dir     string
	url     string // of the sidecar
	failed  int    // steps that were not as they should be
}

// Run walks through the main job. It fails unless every step was as it should be.
func (c *demoCommand) Run(a *app) (err error) {
	d := &demo{app: a, key: clerktest.NewKey("ins_demo")}
	d.clerk = clerktest.NewServer(d.key)
	defer d.clerk.Close()
	if d.dir, err = os.MkdirTemp("", "tollbook-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	if d.jobs, err = startJobsAPI(a.ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.jobs.close()) }()
	return d.run(c.Stay)
}

func (d *demo) run(stay bool) error {
	stop, err := d.start()
	if err != nil {
		return err
	}
	d.intro()
	walked := d.walk()
	if walked == nil && d.failed == 0 && stay {
		d.curlLines()
		<-d.ctx.Done()
	}
	if err := errors.Join(walked, stop()); err != nil {
		return err
	}
	if err := d.trail(); err != nil {
		return err
	}
	if d.failed > 0 {
		return fmt.Errorf("demo: %d steps were not as they should be", d.failed)
	}
	d.printf("\nEverything was as it should be.\n")
	return nil
}

// start runs the sidecar as serve does, and returns what drains and closes it.
func (d *demo) start() (stop func() error, err error) {
	cfg, _, _, err := loadConfig(d.settings(), d.dir, "")
	if err != nil {
		return nil, err
	}
	log := newLogger(d.stderr, zapcore.WarnLevel)
	s, err := openSidecar(d.ctx, cfg, log.Named("demo"), log)
	if err != nil {
		return nil, err
	}
	d.sidecar, d.url = s, "http://"+s.traffic.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.ctx))
	done := make(chan error, 1)
	go func() { done <- s.serve(ctx) }()
	return func() error {
		cancel()
		return errors.Join(<-done, s.close())
	}, nil
}

// settings is the environment that one would run the sidecar with.
func (d *demo) settings() []string {
	return []string{
		"CLERK_ISSUER=" + d.clerk.Issuer(),
		"CLERK_JWKS_URL=" + d.clerk.JWKSURL(),
		"TOLLBOOK_UPSTREAM_URL=" + d.jobs.url,
		"TOLLBOOK_LISTEN_ADDR=127.0.0.1:0",
		"TOLLBOOK_ADMIN_ADDR=127.0.0.1:0",
		"TOLLBOOK_AUDIT_DIR=" + d.auditDir(),
		"TOLLBOOK_LOG_LEVEL=warn",
	}
}

func (d *demo) auditDir() string { return filepath.Join(d.dir, "audit") }

// token makes a session token that was issued at a time and lives for a while.
func (d *demo) token(key *clerktest.Key, issued time.Time, life time.Duration) string {
	claims := clerktest.SessionClaims(d.clerk.Issuer(), demoUser, issued)
	claims["exp"] = issued.Add(life).Unix()
	return key.Sign(claims)
}

// trail shows the end of the trail, and verifies it.
func (d *demo) trail() error {
	d.printf("\nThe trail in %s, its last records:\n\n", filepath.Base(d.auditDir()))
	records, err := lastRecords(d.auditDir(), 12)
	if err != nil {
		return err
	}
	lines := lineFormat{width: widthOf(d.stdout, 2)}
	for _, r := range records {
		d.printf("  %s\n", lines.line(r, time.Now()))
	}
	report, err := audit.Verify(d.ctx, d.auditDir(), audit.VerifyConfig{})
	if errors.Is(err, context.Canceled) {
		report, err = audit.Verify(context.WithoutCancel(d.ctx), d.auditDir(), audit.VerifyConfig{})
	}
	if err != nil {
		return err
	}
	d.printf("\n  verified: %d records, seq 1 to %d, each chained to the one before,\n"+
		"  signed up to seq %d with the key in the trail's folder\n",
		report.Records, report.Head.Seq, report.Signed)
	return nil
}

func (d *demo) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(d.stdout, format, args...); err != nil {
		d.failed++
	}
}
