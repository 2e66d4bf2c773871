package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tollbook/audit"
)

type keyCommand struct {
	trailFolder

	New  bool `help:"Make a signing key for TOLLBOOK_AUDIT_SIGNING_KEY and print it: a secret."`
	JSON bool `name:"json" help:"Print JSON."`
}

// A keyAnswer is what `audit key` prints for programs.
type keyAnswer struct {
	VerifierKey string `json:"verifier_key"`
	SigningKey  string `json:"signing_key,omitempty"` // a secret
}

// Run prints the key that the trail's checkpoints verify with, or a new secret.
func (c *keyCommand) Run(a *app) error {
	if c.New {
		if c.Dir != "" {
			return usageError{errors.New("--new makes a key for any trail: name no folder")}
		}
		key := audit.NewSigningKey()
		fmt.Fprintf(a.stderr, "Keep this line secret; it verifies with %s\n", key.VerifierKey())
		return c.print(a, keyAnswer{key.VerifierKey(), key.Private()}, key.Private())
	}
	dir, key, err := c.sealed(a)
	if err != nil {
		return err
	}
	verifier, err := audit.VerifierKeyOf(dir, key)
	if err != nil {
		return err
	}
	return c.print(a, keyAnswer{VerifierKey: verifier}, verifier)
}

func (c *keyCommand) print(a *app, answer keyAnswer, line string) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(answer)
	}
	_, err := fmt.Fprintln(a.stdout, printable(line))
	return err
}

// sealed returns the folder, as given or as it is set, and the key that is set;
// none if it is the folder's own.
func (f trailFolder) sealed(a *app) (string, audit.SigningKey, error) {
	dir, key, err := sealedTrail(a.environ, a.dir, f.EnvFile)
	if f.Dir != "" {
		dir = f.Dir
	}
	return dir, key, err
}

type rotateKeyCommand struct {
	trailFolder

	NewKeyFile string `name:"new-key-file" help:"The new key, to be set as TOLLBOOK_AUDIT_SIGNING_KEY from then on. Without it one is made in the folder." placeholder:"FILE"`
}

// Run replaces the key of the trail, which nobody may be writing.
func (c *rotateKeyCommand) Run(a *app) error {
	dir, key, err := c.sealed(a)
	if err != nil {
		return err
	}
	next, err := c.next()
	if err != nil {
		return err
	}
	cfg := audit.Config{
		Dir: dir, SigningKey: key, Start: commandStart("rotate-key"), OnCheckpoint: printCheckpoint(a.stderr),
	}
	from, to, err := audit.RotateKey(a.ctx, cfg, next)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("rotated\n  from  %s\n  to    %s\n", printable(from), printable(to))
	switch {
	case c.NewKeyFile != "":
		text += "Set TOLLBOOK_AUDIT_SIGNING_KEY to the new key before the next start.\n"
	case key != (audit.SigningKey{}):
		text += "The new key is in the folder: unset TOLLBOOK_AUDIT_SIGNING_KEY before the next start.\n"
	}
	_, err = fmt.Fprint(a.stdout, text)
	return err
}

func (c *rotateKeyCommand) next() (audit.SigningKey, error) {
	if c.NewKeyFile == "" {
		return audit.SigningKey{}, nil
	}
	text, err := readBounded(c.NewKeyFile, maxSecretFile)
	if err != nil {
		return audit.SigningKey{}, usageError{err}
	}
	key, err := audit.ParseSigningKey(strings.TrimRight(string(text), "\r\n"))
	if err != nil {
		return audit.SigningKey{}, usageError{fmt.Errorf("%s: %w", c.NewKeyFile, err)}
	}
	return key, nil
}

// commandStart is the metadata of the `start` record of a command that writes.
func commandStart(command string) audit.Object {
	return audit.Object{
		{Name: "command", Value: audit.String("audit " + command)},
		{Name: "version", Value: audit.String(readVersion().String())},
	}
}
