// Command tollbook is an authenticating reverse-proxy sidecar: it checks Clerk
// session tokens, forwards the user's id to the API behind it, and keeps the
// audit trail itself.
//
//	arguments → command → settings → keys, trail, listeners → serve → drain
//
// It exits with 0 when all went well, 1 when the answer is no, and 2 when it was
// called or configured wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	printError(os.Stderr, err)
	os.Exit(exitCode(err))
}

// printError prints an error, which may hold what a trail or a file holds. None
// prints nothing.
func printError(stderr io.Writer, err error) {
	if err != nil {
		fmt.Fprintf(stderr, "tollbook: %s\n", printableLines(err.Error()))
	}
}

// The exit codes.
const (
	exitOK    = 0
	exitNo    = 1
	exitUsage = 2
)

// A usageError says that the command was called wrongly.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }

func (e usageError) Unwrap() error { return e.err }

func exitCode(err error) int {
	var usage usageError
	var settings configError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &settings):
		return exitUsage
	default:
		return exitNo
	}
}

// An app is what every command gets: main's inputs, named.
type app struct {
	ctx     context.Context
	environ []string
	dir     string // the working folder
	stdout  io.Writer
	stderr  io.Writer
}

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the sidecar, configured by the environment."`
	Demo    demoCommand    `cmd:"" help:"Show all of it on a stand-in Clerk and jobs API; needs nothing."`
	Audit   auditCommands  `cmd:"" help:"Read and check the audit trail."`
	Health  healthCommand  `cmd:"" help:"Ask the admin listener whether the sidecar is ready."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// run is main with its inputs named. It returns when ctx ends, at the latest
// after the drain.
func run(ctx context.Context, args, environ []string, _ io.Reader, stdout, stderr io.Writer) error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("working folder: %w", err)
	}
	helped := false
	parser, err := kong.New(&commands{},
		kong.Name("tollbook"),
		kong.Description("An authenticating reverse-proxy sidecar with an audit trail."),
		kong.UsageOnError(), kong.Writers(stdout, stderr), kong.Vars(choices()),
		kong.Exit(func(int) { helped = true }),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	switch {
	case helped:
		return nil
	case err != nil:
		return usageError{err}
	}
	return command.Run(&app{ctx: ctx, environ: environ, dir: dir, stdout: stdout, stderr: stderr})
}
