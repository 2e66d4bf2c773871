package audit_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// someCheckpoint is of five lines: two perfect subtrees.
func someCheckpoint() *audit.Checkpoint {
	return audit.Rooted(audit.Checkpoint{
		LogID: strings.Repeat("a", 32), Size: 5, Time: time.Unix(1772366400, 0).UTC(),
		File: "audit_20260301.jsonl", Offset: 1234,
		Edge: []audit.Hash{audit.LeafHash([]byte("left")), audit.LeafHash([]byte("right"))},
	})
}

func TestACheckpointIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	empty := audit.Rooted(audit.Checkpoint{LogID: strings.Repeat("0", 32), File: "audit_19700101.jsonl"})
	large := audit.Rooted(audit.Checkpoint{
		LogID: strings.Repeat("f", 32), Size: 1<<48 - 1, File: "audit_99991231.jsonl", Offset: 1<<63 - 1,
		Edge: make([]audit.Hash, 48),
	})
	for _, c := range []*audit.Checkpoint{someCheckpoint(), empty, large} {
		text := c.Text()
		got, err := audit.ParseCheckpoint(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got.Text() != text || got.Root != c.Root || got.Size != c.Size || len(got.Edge) != len(c.Edge) {
			t.Errorf("got %+v, want %+v", got, c)
		}
	}
}

func TestWhatIsNoCheckpointIsRefused(t *testing.T) {
	t.Parallel()
	good := someCheckpoint().Text()
	root := base64.StdEncoding.EncodeToString(someCheckpoint().Root[:])
	fewer := *someCheckpoint()
	fewer.Edge = fewer.Edge[:1]
	bad := map[string]string{
		"empty": "", "no newline": good[:len(good)-1], "a line more": good + "\n", "trailing text": good + "x",
		"CRLF": strings.ReplaceAll(good, "\n", "\r\n"), "one edge too few": audit.Rooted(fewer).Text(),
	}
	for what, swap := range map[string][2]string{
		"another origin":           {"tollbook/", "tollbooks/"},
		"no origin":                {"tollbook/", ""},
		"an upper-case id":         {"aaaa", "AAAA"},
		"a short id":               {"aaaa", "aaa"},
		"a leading zero":           {"\n5\n", "\n05\n"},
		"a sign":                   {"\n5\n", "\n+5\n"},
		"a size below zero":        {"\n5\n", "\n-1\n"},
		"another size":             {"\n5\n", "\n7\n"},
		"a size of another edge":   {"\n5\n", "\n4\n"},
		"a size that is too large": {"\n5\n", "\n9223372036854775808\n"},
		"another root":             {root, strings.Replace(root, root[:1], string(root[0]^1), 1)},
		"a root without padding":   {root, strings.TrimRight(root, "=")},
		"no root":                  {root, ""},
		"a space before the root":  {root, " " + root},
		"a time with an offset":    {"Z\n", "+00:00\n"},
		"a time with fractions":    {"Z\n", ".0Z\n"},
		"a time in lower case":     {"Z\n", "z\n"},
		"no time":                  {"time ", "tine "},
		"no day file":              {"audit_20260301.jsonl", "checkpoint"},
		"a day that is none":       {"audit_20260301.jsonl", "audit_20260231.jsonl"},
		"a path":                   {"audit_20260301.jsonl", "../audit_20260301.jsonl"},
		"an offset below zero":     {" 1234\n", " -1\n"},
		"an offset with a zero":    {" 1234\n", " 01234\n"},
		"two spaces":               {"file ", "file  "},
		"two spaces in the edge":   {"edge ", "edge  "},
		"a tab in the edge":        {"edge ", "edge\t"},
		"no edge":                  {"edge ", "egde "},
	} {
		bad[what] = strings.Replace(good, swap[0], swap[1], 1)
	}
	for what, text := range bad {
		if text == good {
			t.Fatalf("%s: the text is the good one", what)
		}
		_, err := audit.ParseCheckpoint(text)
		if err == nil {
			t.Errorf("%s: got no error of %q", what, text)
		} else if len(text) > 40 && strings.Contains(err.Error(), text[10:40]) {
			t.Errorf("%s: the error holds the text: %v", what, err)
		}
	}
}

// Base64 that decodes to the same bytes is another text.
func TestBase64WithStrayBitsIsRefused(t *testing.T) {
	t.Parallel()
	good := someCheckpoint().Text()
	at := strings.Index(good, "=\n") - 1
	for c := range 256 {
		text := good[:at] + string([]byte{byte(c)}) + good[at+1:]
		if _, err := audit.ParseCheckpoint(text); err == nil && text != good {
			t.Errorf("byte %#x is taken before the padding", c)
		}
	}
}

func TestASignedCheckpointOpensWithItsKeyAlone(t *testing.T) {
	t.Parallel()
	c, key, other := someCheckpoint(), audit.NewSigningKey(), audit.NewSigningKey()
	msg := audit.Sign(c, key)
	both := audit.Sign(c, key, other)
	for what, f := range map[string]struct {
		msg  []byte
		keys []string
		want int // keys that have signed; 0 is an error
	}{
		"its key":           {msg, []string{key.VerifierKey()}, 1},
		"one of two":        {msg, []string{other.VerifierKey(), key.VerifierKey()}, 1},
		"the key twice":     {msg, []string{key.VerifierKey(), key.VerifierKey()}, 1},
		"both":              {both, []string{key.VerifierKey(), other.VerifierKey()}, 2},
		"one of both":       {both, []string{other.VerifierKey()}, 1},
		"another key":       {msg, []string{other.VerifierKey()}, 0},
		"no key":            {msg, nil, 0},
		"no signature":      {[]byte(c.Text() + "\n"), []string{key.VerifierKey()}, 0},
		"the text alone":    {[]byte(c.Text()), []string{key.VerifierKey()}, 0},
		"text behind":       {append([]byte(c.Text()+"\n"), msg...), []string{key.VerifierKey()}, 0},
		"too long":          {append(slices.Clip(msg), make([]byte, 16<<10)...), []string{key.VerifierKey()}, 0},
		"another signature": {[]byte(c.Text() + "\n" + signatureOf(audit.Sign(empty(), key))), []string{key.VerifierKey()}, 0},
	} {
		got, n, err := audit.OpenNote(f.msg, f.keys...)
		if n != f.want || (err == nil) != (f.want > 0) {
			t.Errorf("%s: got %d keys and %v, want %d", what, n, err, f.want)
		}
		if err == nil && got.Text() != c.Text() {
			t.Errorf("%s: got another checkpoint", what)
		}
	}
}

func empty() *audit.Checkpoint {
	return audit.Rooted(audit.Checkpoint{LogID: strings.Repeat("a", 32), File: "audit_20260301.jsonl"})
}

func signatureOf(msg []byte) string {
	_, signature, _ := strings.Cut(string(msg), "\n\n")
	return signature
}

func TestAnyAlteredByteOfASignedCheckpointIsFound(t *testing.T) {
	t.Parallel()
	key := audit.NewSigningKey()
	msg := audit.Sign(someCheckpoint(), key)
	for c := range 256 { // base64 has stray bits before its padding
		altered := append([]byte(nil), msg...)
		altered[len(msg)-3] = byte(c)
		if _, _, err := audit.OpenNote(altered, key.VerifierKey()); (err == nil) != (altered[len(msg)-3] == msg[len(msg)-3]) {
			t.Errorf("last byte of the signature %#x: got %v", c, err)
		}
	}
	for i := range msg {
		for _, bit := range []byte{1, 2, 3, 0x20, 0x80} {
			altered := append([]byte(nil), msg...)
			altered[i] ^= bit
			if _, _, err := audit.OpenNote(altered, key.VerifierKey()); err == nil {
				t.Errorf("byte %d with bit %#x: got no error", i, bit)
			}
		}
	}
}

func TestAKeyNamedAfterALogIsForThatLogAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir).stop()
	own, general := folderKey(t, dir), audit.NewSigningKey()
	mine, others := someCheckpoint(), someCheckpoint()
	_, mine.LogID, _ = strings.Cut(own.VerifierKey(), "/")
	mine.LogID = mine.LogID[:32]
	for _, c := range []*audit.Checkpoint{mine, others} {
		if _, _, err := audit.OpenNote(audit.Sign(c, general), general.VerifierKey()); err != nil {
			t.Errorf("a key for any log: %v", err)
		}
	}
	if _, _, err := audit.OpenNote(audit.Sign(mine, own), own.VerifierKey()); err != nil {
		t.Errorf("the log's own key: %v", err)
	}
	_, _, err := audit.OpenNote(audit.Sign(others, general), own.VerifierKey())
	refused(t, err, "not of this log")
}
