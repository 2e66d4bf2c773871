package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tollbook/audit"
)

func TestAKeyIsMadeAtTheFirstStartAndUsedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	tr.stop()
	path := filepath.Join(dir, "signing.key")
	made := read(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("got mode %v (%v), want 0600", info.Mode(), err)
	}
	if want := "tollbook/" + tr.ID() + "+"; !strings.HasPrefix(tr.VerifierKey(), want) {
		t.Errorf("got key %s, want one of %s", tr.VerifierKey(), want)
	}
	again := start(t, dir)
	again.stop()
	if again.VerifierKey() != tr.VerifierKey() || string(read(t, path)) != string(made) {
		t.Error("the second start has another key")
	}
	for name := range contents(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
	verifyWith(t, "made", dir, tr.VerifierKey())
}

func TestAKeyThatIsGivenIsNotWrittenDown(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), audit.NewSigningKey()
	tr := start(t, dir, withKey(key))
	tr.end(tr.begin("r1"))
	tr.stop()
	start(t, dir, withKey(key)).stop()
	for name, data := range contents(t, dir) {
		if strings.HasPrefix(name, "signing.key") || strings.Contains(data, "PRIVATE") {
			t.Errorf("%s holds a key", name)
		}
	}
	verifyWith(t, "given", dir, tr.VerifierKey(), key.VerifierKey())
	_, err := open(t, dir)
	refused(t, err, "without its signing.key", "TOLLBOOK_AUDIT_SIGNING_KEY")
	_, err = open(t, dir, withKey(audit.NewSigningKey()))
	refused(t, err, "does not verify with the key")
}

func TestAKeyThatIsGivenMustBeTheFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir).stop()
	start(t, dir, withKey(folderKey(t, dir))).stop()
	_, err := open(t, dir, withKey(audit.NewSigningKey()))
	refused(t, err, "is not the one in signing.key", "rotate-key")
	verify(t, dir)
}

func TestTheKeyOfALogBeginsNoOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir).stop()
	elsewhere := t.TempDir()
	_, err := open(t, elsewhere, withKey(folderKey(t, dir)))
	refused(t, err, "is its volume mounted", elsewhere)
	if left := contents(t, elsewhere); len(left) != 0 {
		t.Errorf("got %v in the folder, want nothing", left)
	}
}

func TestAKeyFileThatIsNoGoodIsRefused(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	start(t, base).stop()
	text := string(read(t, filepath.Join(base, "signing.key")))
	for what, c := range map[string]struct {
		text string
		mode os.FileMode
		word string
	}{
		"world-readable": {text, 0o604, "chmod 600"},
		"world-writable": {text, 0o602, "chmod 600"},
		"garbage":        {"garbage", 0o600, "not a signing key"},
		"empty":          {"", 0o600, "not a signing key"},
		"two lines":      {text + text, 0o600, "not a signing key"},
		"cut":            {text[:len(text)-5], 0o600, "not a signing key"},
		"large":          {strings.Repeat(text, 1000), 0o600, "more than"},
	} {
		dir := copyDir(t, base)
		path := filepath.Join(dir, "signing.key")
		write(t, path, []byte(c.text))
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		before := contents(t, dir)
		_, err := open(t, dir)
		refused(t, err, c.word)
		if len(c.text) > 60 && err != nil && strings.Contains(err.Error(), text[60:len(text)-6]) {
			t.Errorf("%s: the error holds the key", what)
		}
		if !reflect.DeepEqual(contents(t, dir), before) {
			t.Errorf("%s: the folder was changed", what)
		}
	}
}

func TestASigningKeyIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir).stop()
	for _, key := range []audit.SigningKey{audit.NewSigningKey(), folderKey(t, dir)} {
		got, err := audit.ParseSigningKey(key.Private())
		if err != nil || got.Private() != key.Private() {
			t.Errorf("got %v (%v), want the same key", got, err)
		}
	}
}

func TestWhatIsNoSigningKeyIsRefusedWithoutBeingTold(t *testing.T) {
	t.Parallel()
	good := audit.NewSigningKey().Private()
	for what, text := range map[string]string{
		"empty": "", "the prefix": "PRIVATE+KEY+", "a newline": good + "\n", "a space": " " + good,
		"another name":    strings.Replace(good, "tollbook", "toolbook", 1),
		"another hash":    strings.Replace(good, "tollbook+", "tollbook+0", 1),
		"a log of no id":  strings.Replace(good, "tollbook", "tollbook/x", 1),
		"a verifier key":  audit.NewSigningKey().VerifierKey(),
		"a byte less":     good[:len(good)-4],
		"no base64":       good[:len(good)-2] + "!!",
		"another prefix":  strings.Replace(good, "PRIVATE", "private", 1),
		"a key in quotes": `"` + good + `"`,
	} {
		_, err := audit.ParseSigningKey(text)
		if err == nil {
			t.Errorf("%s: got no error", what)
		} else if refused(t, err, "not a signing key"); strings.Contains(err.Error(), good[40:50]) {
			t.Errorf("%s: the error holds the key", what)
		}
	}
}

func TestASigningKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	key := audit.NewSigningKey()
	encoded := key.Private()[len(key.Private())-20:]
	cfg := audit.Config{SigningKey: key}
	seed := reflect.ValueOf(key).Field(1).Elem().String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for what, v := range map[string]any{
			"the key": key, "a pointer": &key, "a config": cfg, "a list": []audit.SigningKey{key},
			"a struct": struct{ Key audit.SigningKey }{key}, "a field of its own": struct{ key audit.SigningKey }{key},
		} {
			out := fmt.Sprintf(verb, v)
			for _, secret := range []string{encoded, seed, fmt.Sprintf("%x", seed), fmt.Sprintf("%X", seed)} {
				if strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%q", secret)) {
					t.Errorf("%s of %s prints the key", verb, what)
				}
			}
		}
	}
}

// Wherever a first start dies, the next begins or goes on.
func TestAFirstStartMayDieAnywhere(t *testing.T) {
	t.Parallel()
	for what, given := range map[string]audit.SigningKey{"made": {}, "given": audit.NewSigningKey()} {
		dir := t.TempDir()
		var kept []string
		start(t, dir, withKey(given), steps(t, dir, &kept)).stop()
		for i, left := range kept {
			tr, err := open(t, left, withKey(given))
			if err != nil {
				t.Fatalf("%s, step %d: %v", what, i, err)
			}
			tr.end(tr.begin("r1"))
			tr.stop()
			if report := verify(t, left); report.FirstSeq != 1 || len(report.Open) != 0 {
				t.Errorf("%s, step %d: got %+v, want a log from seq 1", what, i, report)
			}
		}
		if len(kept) < 10 {
			t.Errorf("%s: got %d steps, want more", what, len(kept))
		}
	}
}
