package main

import (
	"fmt"

	"tollbook/audit"
)

type quarantineCommand struct {
	trailFolder

	Why     string `required:"" help:"Who gives the trail up and why: it is recorded." placeholder:"TEXT"`
	KeyLost bool   `name:"key-lost" help:"The signing key is lost for good: give the trail up for that too."`
}

// Run moves a trail that a start refuses aside, and begins another.
func (c *quarantineCommand) Run(a *app) error {
	dir, key, err := c.sealed(a)
	if err != nil {
		return err
	}
	cfg := audit.Config{
		Dir: dir, SigningKey: key, Start: commandStart("quarantine"), OnCheckpoint: printCheckpoint(a.stderr),
	}
	moved, err := audit.Quarantine(cfg, audit.QuarantineConfig{Why: c.Why, KeyLost: c.KeyLost})
	if moved != "" {
		_, printErr := fmt.Fprintf(a.stdout, "moved the trail to %s in %s\n", printable(moved), printableText(dir))
		if err == nil {
			err = printErr
		}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, "began a new trail, whose quarantine record tells of it")
	return err
}
