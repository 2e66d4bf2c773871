package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// RotateKey replaces the signing key of the log in cfg.Dir, which no process may
// have open. The next key is the one given, for which the next start must be
// given it too, or, if it is zero, one that is made and kept in the folder. A
// `key_rotated` record names both, and a checkpoint behind it is signed by both,
// so that whoever trusts the one can go on to the other. It returns the old and
// the new verifier key. If it dies on the way, start is refused until it was run
// again.
func RotateKey(ctx context.Context, cfg Config, next SigningKey) (from, to string, err error) {
	r, err := prepareRotation(cfg, next)
	if err != nil {
		return "", "", fmt.Errorf("audit: %w", err)
	}
	if r.installed {
		key := next.verifierKey(origin(r.logID))
		return key, key, takeOut(cfg)
	}
	cfg.rotating, cfg.pending = true, r.next
	if r.handedOver {
		cfg.cosign = r.next
	}
	l, err := Open(cfg)
	if err != nil {
		return "", "", err
	}
	if !r.handedOver {
		if err := l.handOver(ctx, r.next); err != nil {
			return "", "", errors.Join(fmt.Errorf("audit: %w", err), l.Close())
		}
	}
	if err := l.Close(); err != nil {
		return "", "", err
	}
	return l.verifierKey, r.next.verifierKey(origin(l.logID)), installKey(cfg, next.none())
}

// A rotation is what a folder says of a change of keys.
type rotation struct {
	next       SigningKey
	handedOver bool // the newest checkpoint is signed with next already
	installed  bool // all is done but to take next, which is given, out of the folder
	logID      string
}

// prepareRotation makes the key that is to come durable in the folder, or finds
// there the one of a rotation that died.
func prepareRotation(cfg Config, next SigningKey) (r rotation, err error) {
	d, err := cfg.openExisting()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	found, err := d.inventory()
	if err != nil {
		return r, err
	}
	msg, err := readBounded(d, checkpointName, maxNote)
	if err != nil {
		return r, fmt.Errorf("folder %q holds no log whose key could be rotated: %w", cfg.Dir, err)
	}
	newest, err := newMark(msg, checkpointName)
	if err != nil {
		return r, fmt.Errorf("%s: %w", checkpointName, err)
	}
	r.logID = newest.LogID
	current := cfg.SigningKey
	if found.key {
		if current, err = d.readKey(keyName); err != nil {
			return r, err
		}
	}
	if found.key && !found.newKey && !next.none() && next.same(current) {
		_, err := checkNote(msg, next.verifierKey(origin(newest.LogID)))
		r.installed = err == nil
		return r, err
	}
	if err := next.mayFollow(current, newest.LogID); err != nil {
		return r, err
	}
	if r.next, err = d.pendingKey(found, next, current, newest.LogID); err != nil {
		return r, err
	}
	_, err = checkNote(lastSignature(msg), r.next.verifierKey(origin(newest.LogID)))
	r.handedOver = err == nil
	return r, nil
}

// lastSignature returns the note with the last of its signatures alone: that of
// the key that it hands over to. The one before it may be that of a rotation that
// is over, from the key that is to come.
func lastSignature(msg []byte) []byte {
	text, signatures, _ := bytes.Cut(msg, []byte("\n\n"))
	last := signatures[lineStart(signatures, max(0, len(signatures)-1)):]
	return slices.Concat(text, []byte("\n\n"), last)
}

// mayFollow refuses a new key before anything is written: one of another log, and
// the one in force, which would sign each checkpoint twice.
func (k SigningKey) mayFollow(current SigningKey, logID string) error {
	if k.none() {
		return nil
	}
	if _, err := k.signer(logID); err != nil {
		return fmt.Errorf("the new key: %w", err)
	}
	if k.same(current) {
		return errors.New("the new key is the old one")
	}
	return nil
}

// pendingKey makes the new key durable, or finds it there. The key in force vouches
// for it: a key that somebody put there is not adopted.
//
//	<the new key>
//	<signature of its verifier key by the key in force, base64>
func (d *folder) pendingKey(found *inventory, next, current SigningKey, logID string) (SigningKey, error) {
	if found.newKey {
		text, err := d.readSecret(newKeyName)
		if err != nil {
			return SigningKey{}, err
		}
		encoded, signature, _ := strings.Cut(text, "\n")
		key, err := ParseSigningKey(encoded)
		switch {
		case err != nil:
			return key, fmt.Errorf("%s: %w", newKeyName, err)
		case current.none() || current.vouch(key.verifierKey(origin(logID))) != signature:
			return key, fmt.Errorf("%s in folder %q was not made by rotate-key with the key in force: find out "+
				"who put it there, and remove it", newKeyName, d.path)
		case !next.none() && !next.same(key):
			return key, fmt.Errorf("%s in folder %q is another key than the new one that is given: a rotation to "+
				"it did not end; run it again with that key", newKeyName, d.path)
		}
		return key, nil
	}
	if current.none() {
		return SigningKey{}, fmt.Errorf("folder %q holds a log without its %s: %w", d.path, keyName, errNoKey)
	}
	if next.none() {
		next = newSigningKey(origin(logID))
	}
	text := next.Private() + "\n" + current.vouch(next.verifierKey(origin(logID))) + "\n"
	if err := d.replace(newKeyName, []byte(text)); err != nil {
		return SigningKey{}, err
	}
	return next, d.sync()
}

// handOver records the change of keys; what is signed from then on is signed by
// both.
func (l *Log) handOver(ctx context.Context, next SigningKey) error {
	to := next.verifierKey(origin(l.logID))
	err := l.Record(ctx, reasonRotated, Object{{"from", String(l.verifierKey)}, {"to", String(to)}})
	if err != nil {
		return err
	}
	return l.cosignWith(next)
}

// cosignWith makes what is signed from now on signed by the key too.
func (l *Log) cosignWith(key SigningKey) error {
	signer, err := key.signer(l.logID)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cosigner, l.cosignerKey = signer, key.verifierKey(origin(l.logID))
	return nil
}

// keyInForce returns the verifier key that a day begins under: the checkpoint at
// the end of the day before has handed over to the next one.
func (l *Log) keyInForce() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cmp.Or(l.cosignerKey, l.verifierKey)
}

// signers returns what signs the next checkpoint.
func (l *Log) signers() []note.Signer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cosigner == nil {
		return []note.Signer{l.signer}
	}
	return []note.Signer{l.signer, l.cosigner}
}

// installKey puts the new key in place of the old one, or takes both out of the
// folder if the new one is kept elsewhere.
func installKey(cfg Config, keep bool) error {
	d, err := cfg.openExisting()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	// The old key is gone at once: alone it must not start the log again.
	err = errors.Join(d.rename(newKeyName, keyName), d.sync(), d.close())
	if err == nil && !keep {
		err = takeOut(cfg)
	}
	return err
}

// takeOut removes the key from the folder: it is kept elsewhere.
func takeOut(cfg Config) error {
	d, err := cfg.openExisting()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return errors.Join(d.remove(keyName), d.sync(), d.close())
}
