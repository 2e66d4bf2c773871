package audit_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"tollbook/audit"
)

// A forger rewrites a trail as somebody can who may write the folder but does
// not have its key: the chain and the tree can be made anew, and all can be
// signed with another key. It knows nothing of records but where prev_hash and
// verifier_key stand.
type forger struct {
	t      *testing.T
	dir    string
	key    string // the verifier key of the forger's signatures
	signer note.Signer
}

func newForger(t *testing.T, dir string) *forger {
	t.Helper()
	name := "tollbook/" + records(t, dir)[0].LogID
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return &forger{t, dir, public, signer}
}

// edit changes a file of the folder; path is its name or its path.
func edit(t *testing.T, dir, path string, change func([]byte) []byte) {
	t.Helper()
	path = filepath.Join(dir, filepath.Base(path))
	write(t, path, change(bytes.Clone(read(t, path))))
}

// editLine changes a line, from 1; its newline is part of it.
func editLine(t *testing.T, dir, path string, line int, change func([]byte) []byte) {
	t.Helper()
	edit(t, dir, path, func(data []byte) []byte {
		lines := bytes.SplitAfter(data, []byte("\n"))
		before := lines[line-1]
		if lines[line-1] = change(bytes.Clone(before)); bytes.Equal(lines[line-1], before) {
			t.Fatalf("%s: the change of line %d does nothing", filepath.Base(path), line)
		}
		return bytes.Join(lines, nil)
	})
}

func (f *forger) replace(path string, line int, from, to string) {
	f.t.Helper()
	editLine(f.t, f.dir, path, line, func(data []byte) []byte {
		return bytes.Replace(data, []byte(from), []byte(to), 1)
	})
}

var prevHash = regexp.MustCompile(`"prev_hash":"[0-9a-f]{64}"`)

// rechain makes each prev_hash that of the line before.
func (f *forger) rechain() {
	f.t.Helper()
	prev := strings.Repeat("0", 64)
	for _, name := range dayFiles(f.t, f.dir) {
		edit(f.t, f.dir, name, func(data []byte) []byte {
			var all []byte
			for line := range bytes.Lines(data) {
				line = prevHash.ReplaceAll(line, []byte(`"prev_hash":"`+prev+`"`))
				prev = audit.HashLine(bytes.TrimSuffix(line, []byte("\n"))).String()
				all = append(all, line...)
			}
			return all
		})
	}
}

var logID = regexp.MustCompile(`"log_id":"[0-9a-f]{32}"`)

var verifierKey = regexp.MustCompile(`"verifier_key":"[^"]*"`)

// claim makes the day records name the forger's key; rechain must follow.
func (f *forger) claim() {
	f.t.Helper()
	for _, name := range dayFiles(f.t, f.dir) {
		edit(f.t, f.dir, name, func(data []byte) []byte {
			return verifierKey.ReplaceAll(data, []byte(`"verifier_key":"`+f.key+`"`))
		})
	}
}

// resign claims the trail and makes each of its checkpoints one of the lines as
// they are now, signed with the forger's key.
func (f *forger) resign() {
	f.t.Helper()
	f.claim()
	f.rechain()
	f.sign()
}

func (f *forger) sign() {
	f.t.Helper()
	prefixes := f.prefixes()
	for name, content := range contents(f.t, f.dir) {
		if name != "checkpoint" && !strings.HasPrefix(name, "checkpoints_") {
			continue
		}
		parts := strings.Split(strings.TrimSuffix(content, "\n"), "\n\n")
		var notes []string
		for i := 0; i < len(parts); i += 2 {
			c := f.parsed(parts[i] + "\n\n")
			notes = append(notes, f.signed(prefixes[min(int(c.Size), len(prefixes)-1)], c))
		}
		write(f.t, filepath.Join(f.dir, name), []byte(strings.Join(notes, "\n")))
	}
}

func (f *forger) parsed(msg string) *audit.Checkpoint {
	f.t.Helper()
	text, _, _ := strings.Cut(msg, "\n\n")
	c, err := audit.ParseCheckpoint(text + "\n")
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// signed makes a checkpoint of the lines that is like c in all else.
func (f *forger) signed(p goldenPrefix, like *audit.Checkpoint) string {
	f.t.Helper()
	text := "tollbook/" + like.LogID + "\n" + strconv.Itoa(p.size) + "\n" + goldenBase64(p.root()) +
		"\ntime " + like.Time.Format("2006-01-02T15:04:05Z") + "\nfile " + p.file + " " +
		strconv.Itoa(p.offset) + "\nedge"
	for _, h := range p.edge {
		text += " " + goldenBase64(h)
	}
	return f.signText(text + "\n")
}

func (f *forger) signText(text string) string {
	f.t.Helper()
	msg, err := note.Sign(&note.Note{Text: text}, f.signer)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(msg)
}

func goldenBase64(h audit.Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }

// A goldenPrefix is the first lines of a trail: where they end, and their tree.
type goldenPrefix struct {
	size, offset int
	file         string
	edge         []audit.Hash
}

// prefixes has one for each line that the trail may end with, and the empty one.
func (f *forger) prefixes() []goldenPrefix {
	f.t.Helper()
	all := []goldenPrefix{{}}
	for _, name := range dayFiles(f.t, f.dir) {
		offset := 0
		for line := range bytes.Lines(read(f.t, name)) {
			offset += len(line)
			p := all[len(all)-1].with(audit.LeafHash(bytes.TrimSuffix(line, []byte("\n"))))
			p.file, p.offset = filepath.Base(name), offset
			all = append(all, p)
		}
	}
	return all
}

func (p goldenPrefix) with(node audit.Hash) goldenPrefix {
	edge := slices.Clone(p.edge)
	for n := p.size; n%2 == 1; n /= 2 {
		node = audit.NodeHash(edge[len(edge)-1], node)
		edge = edge[:len(edge)-1]
	}
	return goldenPrefix{size: p.size + 1, edge: append(edge, node)}
}

func (p goldenPrefix) root() audit.Hash {
	if p.size == 0 {
		return audit.HashLine(nil)
	}
	root := p.edge[len(p.edge)-1]
	for _, left := range slices.Backward(p.edge[:len(p.edge)-1]) {
		root = audit.NodeHash(left, root)
	}
	return root
}

// removeFiles removes files of the folder.
func removeFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}
