package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tollbook/audit"
)

type tailCommand struct {
	trailFolder

	Records  int  `name:"records" short:"n" default:"10" help:"How many of the last records to print (10)." placeholder:"N"`
	JSON     bool `name:"json" help:"Print the lines as they are on disk."`
	NoFollow bool `name:"no-follow" help:"Print what is there, and end."`
}

// tailEvery is how often new records are looked for.
const tailEvery = 200 * time.Millisecond

// Run prints the end of the trail and what is added to it, until it is told to
// stop.
func (c *tailCommand) Run(a *app) error {
	ticker := time.NewTicker(tailEvery)
	defer ticker.Stop()
	return c.tail(a, ticker.C)
}

// tail is Run with the ticks at which it looks for new records.
func (c *tailCommand) tail(a *app, ticks <-chan time.Time) (err error) {
	if c.Records < 0 {
		return usageError{fmt.Errorf("-n %d: want 0 or more", c.Records)}
	}
	w, err := c.open(a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	p := newRecordPrinter(a.stdout, c.JSON)
	for {
		err := errors.Join(w.Poll(a.ctx, p.print), p.Flush())
		switch {
		case a.ctx.Err() != nil:
			return nil // told to stop
		case err != nil || c.NoFollow:
			return err
		}
		select {
		case <-a.ctx.Done():
			return nil
		case <-ticks:
		}
	}
}

// open finds the one log that is meant.
func (c *tailCommand) open(a *app) (*audit.Watcher, error) {
	dir, err := c.path(a)
	if err != nil {
		return nil, err
	}
	logs, err := audit.Logs(dir)
	switch {
	case err != nil:
		return nil, err
	case len(logs) > 0:
		return nil, usageError{fmt.Errorf("%q is a folder of logs: name one of them (%s)",
			dir, strings.Join(logs, ", "))}
	}
	return audit.Watch(dir, c.Records)
}
