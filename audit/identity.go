package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// identify finds out which log the folder holds and what signs it, and returns
// its newest checkpoint. A folder without a log gets one.
func (l *Log) identify(found *inventory) (*Checkpoint, error) {
	c, err := l.existing(found)
	if err != nil || c != nil {
		return c, err
	}
	return l.begin()
}

// existing returns the newest checkpoint of the log that the folder holds, nil
// if it holds none.
func (l *Log) existing(found *inventory) (*Checkpoint, error) {
	if found.newKey && !l.rotating {
		return nil, fmt.Errorf("folder %q holds %s: %w", l.dir.path, newKeyName, errRotating)
	}
	key, err := l.signingKey(found)
	if err != nil {
		return nil, err
	}
	msg, err := readBounded(l.dir, checkpointName, maxNote)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case missing && found.blank() && !found.key:
		return nil, nil //nolint:nilnil // no log and no error
	case missing:
		return nil, fmt.Errorf("folder %q holds a log without its %s: bring that back, or name "+
			"another folder: %w", l.dir.path, checkpointName, errDamaged)
	case err != nil:
		return nil, err
	case key.none() && found.blank() && emptyCheckpoint(msg):
		return nil, nil //nolint:nilnil // the run that began it died before its key was there
	case key.none():
		return nil, fmt.Errorf("folder %q holds a log without its %s: %w", l.dir.path, keyName, errNoKey)
	}
	return l.openNewest(msg, key)
}

var errRotating = errors.New("a rotation of the key did not end; run `tollbook audit rotate-key` again")

var errNoKey = errors.New("bring it back, or give the key (TOLLBOOK_AUDIT_SIGNING_KEY)")

func emptyCheckpoint(msg []byte) bool {
	c, err := parseNote(msg)
	return err == nil && c.Size == 0
}

// openNewest verifies the newest checkpoint.
func (l *Log) openNewest(msg []byte, key SigningKey) (*Checkpoint, error) {
	public, err := parseVerifierKey(key.VerifierKey())
	if err != nil {
		return nil, err
	}
	c, _, err := openNote(msg, public)
	if err != nil {
		err = fmt.Errorf("%s in folder %q does not verify with the key of this start (%s): %w",
			checkpointName, l.dir.path, key.VerifierKey(), err)
		if l.SigningKey.none() || !errors.Is(err, errOtherKey) { // not the settings' fault
			err = fmt.Errorf("%w: %w", err, errDamaged)
		}
		return nil, err
	}
	return c, l.signAs(c.LogID, key, c)
}

// signAs takes over the log's id and what signs it.
func (l *Log) signAs(logID string, key SigningKey, newest *Checkpoint) error {
	signer, err := key.signer(logID)
	if err != nil {
		return err
	}
	l.logID, l.verifierKey = logID, key.verifierKey(origin(logID))
	l.signer, l.seal = signer, sealer{dir: l.dir, last: newest}
	if !l.cosign.none() {
		return l.cosignWith(l.cosign)
	}
	return nil
}

// signingKey returns the key that is given or that of the folder; none if there
// is neither. Two different ones are a mistake.
func (l *Log) signingKey(found *inventory) (SigningKey, error) {
	if !found.key {
		return l.SigningKey, nil
	}
	own, err := l.dir.readKey(keyName)
	if err != nil {
		return SigningKey{}, err
	}
	if given := l.SigningKey; !given.none() && !given.same(own) {
		return SigningKey{}, fmt.Errorf("the signing key that is given is not the one in %s of folder %q: "+
			"to change keys run `tollbook audit rotate-key`", keyName, l.dir.path)
	}
	return own, nil
}

// readKey reads a key of the folder: the first line of its file. Behind it one that
// was rotated to has the signature of the key before.
func (d *folder) readKey(name string) (SigningKey, error) {
	text, err := d.readSecret(name)
	if err != nil {
		return SigningKey{}, err
	}
	encoded, signature, rotated := strings.Cut(text, "\n")
	key, err := ParseSigningKey(encoded)
	if b, bad := base64.StdEncoding.DecodeString(signature); rotated && (bad != nil || len(b) != ed25519.SignatureSize) {
		err = errSigningKey
	}
	if err != nil {
		return SigningKey{}, fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
}

// readSecret reads a file of the folder that nobody but its group may read, without
// its last newline.
func (d *folder) readSecret(name string) (string, error) {
	f, err := d.open(name, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", fmt.Errorf("%s: %w", f.Name(), err)
	}
	if st.Mode&0o007 != 0 {
		return "", fmt.Errorf("%s can be read by everyone: chmod 600 it", f.Name())
	}
	text, err := readAll(f, maxNote)
	return strings.TrimSuffix(string(text), "\n"), err
}

// begin makes a new log: a key, unless it is given, and a checkpoint of no lines,
// so that there are never records without a checkpoint. What it writes first is
// not there for the next start until all of it is: with a key of its own when that
// has its name, else when the checkpoint has.
func (l *Log) begin() (*Checkpoint, error) {
	logID, key := newID(), l.SigningKey
	own := key.none()
	if own {
		key = newSigningKey(origin(logID))
		if err := l.dir.writeTemp(keyName, []byte(key.Private()+"\n")); err != nil {
			return nil, err
		}
	} else if of := key.logID(); of != "" {
		return nil, fmt.Errorf("the signing key is that of log %s, which is not in folder %q: is its "+
			"volume mounted? A new log takes a key that `tollbook audit key --new` prints", of, l.dir.path)
	}
	now := l.Now()
	c := &Checkpoint{LogID: logID, Root: emptyRoot, Time: now, File: dayOf(now).fileName()}
	if err := l.signAs(logID, key, nil); err != nil {
		return nil, err
	}
	if _, err := l.seal.newest(c, l.signers()...); err != nil {
		return nil, err
	}
	if own { // a key without its checkpoint would be a log that lost it
		if err := l.dir.sync(); err != nil {
			return nil, err
		}
		if err := l.dir.rename(keyName+tempSuffix, keyName); err != nil {
			return nil, err
		}
	}
	return c, l.dir.sync()
}

// IDOf returns the id of the log in dir, as its newest checkpoint has it; nothing
// is verified.
func IDOf(dir string) (string, error) {
	m, err := newestOf(dir)
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	return m.LogID, nil
}

// VerifierKeyOf returns the verifier key of the log in dir: the public half of
// the key in the folder, or of the given one if it is not zero and the folder
// has none.
func VerifierKeyOf(dir string, given SigningKey) (string, error) {
	d, err := openForReading(dir)
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	defer d.close()
	found, err := d.inventory()
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	l := &Log{Config: Config{SigningKey: given}, dir: d}
	l.rotating = true
	c, err := l.existing(found)
	switch {
	case err != nil:
		return "", fmt.Errorf("audit: %w", err)
	case c == nil:
		return "", fmt.Errorf("%w in %q", ErrNoTrail, dir)
	}
	return l.verifierKey, nil
}

func newestOf(dir string) (*mark, error) {
	d, err := openForReading(dir)
	if err != nil {
		return nil, err
	}
	msg, err := readBounded(d, checkpointName, maxNote)
	if err := errors.Join(err, d.close()); err != nil {
		return nil, err
	}
	return newMark(msg, checkpointName)
}
