package main

import (
	"context"
	"errors"
	"fmt"

	"tollbook/audit"
)

type queryCommand struct {
	trailFolder
	filters

	JSON bool `name:"json" help:"Print the lines as they are on disk."`
}

// Run prints the records that are looked for. That there are none is an answer,
// and no error.
func (c *queryCommand) Run(a *app) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	dir, err := c.path(a)
	if err != nil {
		return err
	}
	logs, err := audit.Logs(dir)
	if err != nil {
		return err
	}
	p := newRecordPrinter(a.stdout, c.JSON)
	p.forLogs(logs)
	if err := errors.Join(search(a, isTerminal(a.stdout), dir, q, p.print), p.Flush()); err != nil {
		return err
	}
	if p.printed == 0 {
		fmt.Fprintln(a.stderr, "no record matches")
	}
	return nil
}

// search is [audit.Search] with a bar, unless the records go to the terminal too.
func search(a *app, onTerminal bool, dir string, q audit.Query, do func(audit.Hit) error) error {
	var b *bar
	if !onTerminal {
		b = newBar(a.stderr)
	}
	err := audit.Search(a.ctx, dir, q, b.update, do)
	b.clear()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("stopped before the end of the trail: %w", err)
	}
	return err
}
