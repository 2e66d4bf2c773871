package audit

import (
	"context"
	"errors"
	"fmt"

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
	r, err := prepareRotation(cfg.Dir, next)
	if err != nil {
		return "", "", fmt.Errorf("audit: %w", err)
	}
	cfg.rotating = true
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
	return l.verifierKey, r.next.verifierKey(origin(l.logID)), installKey(cfg.Dir, next.none())
}

// A rotation is what a folder says of a change of keys.
type rotation struct {
	next       SigningKey
	handedOver bool // the newest checkpoint is signed with next already
}

// prepareRotation makes the key that is to come durable in the folder, or finds
// there the one of a rotation that died.
func prepareRotation(path string, next SigningKey) (r rotation, err error) {
	d, err := openFolder(path)
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
		return r, fmt.Errorf("folder %q holds no log whose key could be rotated: %w", path, err)
	}
	newest, err := newMark(msg, checkpointName)
	if err != nil {
		return r, fmt.Errorf("%s: %w", checkpointName, err)
	}
	if r.next, err = d.pendingKey(found, next, newest.LogID); err != nil {
		return r, err
	}
	_, err = checkNote(msg, r.next.verifierKey(origin(newest.LogID)))
	r.handedOver = err == nil
	return r, nil
}

func (d *folder) pendingKey(found *inventory, next SigningKey, logID string) (SigningKey, error) {
	if found.newKey {
		key, err := d.readKey(newKeyName)
		if err == nil && !next.none() && next.seed != key.seed {
			err = fmt.Errorf("%s in folder %q is another key than the new one that is given: a rotation to "+
				"it did not end; run it again with that key", newKeyName, d.path)
		}
		return key, err
	}
	if next.none() {
		next = newSigningKey(origin(logID))
	}
	if err := d.replace(newKeyName, []byte(next.Private()+"\n")); err != nil {
		return SigningKey{}, err
	}
	return next, d.sync()
}

// handOver records the change of keys; what is signed from then on is signed by
// both.
func (l *Log) handOver(ctx context.Context, next SigningKey) error {
	to := next.verifierKey(origin(l.logID))
	if sameKey(to, l.verifierKey) {
		return errors.New("the new key is the old one")
	}
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
	l.cosigner = signer
	return nil
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
func installKey(path string, keep bool) error {
	d, err := openFolder(path)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if keep {
		err = d.rename(newKeyName, keyName)
	} else {
		err = errors.Join(d.remove(keyName), d.remove(newKeyName))
	}
	return errors.Join(err, d.sync(), d.close())
}
