package audit_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tollbook/audit"
)

// A world is a disk that can be full, under a writer that can be killed at any
// call to it, and a power that can fail: then only what was fsynced is certain.
// Safe for concurrent use.
type world struct {
	mu      sync.Mutex
	rng     *rand.Rand
	dir     string
	power   bool
	full    string // the prefix of the calls for which there is no room; "-" is none
	left    int    // calls until the writer is killed; -1 is never
	at      string // the call at which it was
	after   map[string]string
	synced  map[uint64]int    // the durable length of files, by inode
	durable map[string]string // what the folder held when it was last fsynced
}

// begin says that all that is in dir is durable.
func (w *world) begin(dir string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dir, w.left, w.after, w.full, w.at = dir, -1, nil, "-", ""
	w.synced = make(map[uint64]int)
	w.durable = w.holds()
	for name, data := range w.durable {
		w.synced[w.inode(name)] = len(data)
	}
}

func (w *world) holds() map[string]string {
	all := make(map[string]string)
	entries, _ := os.ReadDir(w.dir)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(w.dir, e.Name()))
		if err == nil {
			all[e.Name()] = string(data)
		}
	}
	return all
}

func (w *world) killAfter(calls int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = calls
}

func (w *world) killNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.after == nil {
		w.at, w.after = "rest", w.remains()
	}
}

func (w *world) dead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.after != nil
}

// fill leaves no room for lines, for checkpoints, or for nothing.
func (w *world) fill(what int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full = []string{"audit_", "checkpoint", ""}[what]
}

func (w *world) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full = "-"
}

// call takes note of a call before it is made, and takes a picture of the disk
// if the writer is to be killed there.
func (w *world) call(name, call string) (full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left == 0 && w.after == nil {
		w.at, w.after = call+" "+name, w.remains()
	}
	w.left--
	return call == "write" && strings.HasPrefix(name, w.full)
}

// inode returns the number that a file keeps when it is renamed, 0 if there is
// no file.
func (w *world) inode(name string) uint64 {
	info, err := os.Stat(filepath.Join(w.dir, name))
	if err != nil {
		return 0
	}
	return inodeOf(info)
}

func inodeOf(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

func (w *world) noteSync(info os.FileInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.synced[inodeOf(info)] = int(info.Size())
}

func (w *world) noteCut(info os.FileInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.synced[inodeOf(info)] = min(w.synced[inodeOf(info)], int(info.Size()))
}

func (w *world) noteFolder() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.durable = w.holds()
}

// remains returns what the next start finds, with the lock held.
func (w *world) remains() map[string]string {
	now := w.holds()
	if !w.power || w.rng.IntN(3) == 0 {
		return now
	}
	names := make([]string, 0, len(now))
	for name := range now {
		names = append(names, name)
	}
	slices.Sort(names) // the same dice for the same seed
	after := make(map[string]string)
	for _, name := range names {
		old, wasThere := w.durable[name]
		switch lost := w.rng.IntN(2) == 0; {
		case strings.HasSuffix(name, ".tmp"):
		case strings.Contains(name, ".torn-"): // a repair fsyncs it before it cuts
			after[name] = now[name]
		case !wasThere && lost:
		case !strings.HasPrefix(name, "audit_") && !strings.HasPrefix(name, "checkpoints_"):
			if after[name] = now[name]; wasThere && lost { // what was renamed to it is not
				after[name] = old
				w.renamedFrom(name+".new", now, after)
			}
		default:
			after[name] = w.torn(now[name], w.synced[w.inode(name)])
		}
	}
	return after
}

// renamedFrom brings a name back from which a file was renamed: a rename is undone
// as a whole.
func (w *world) renamedFrom(name string, now, after map[string]string) {
	old, wasThere := w.durable[name]
	if _, isThere := now[name]; wasThere && !isThere {
		after[name] = old
	}
}

// torn returns the file with what was not fsynced as a power cut leaves it.
func (w *world) torn(data string, synced int) string {
	synced = min(synced, len(data))
	rest := []byte(data[synced:])
	if len(rest) == 0 {
		return data
	}
	switch w.rng.IntN(4) {
	case 0: // not there
		rest = rest[:w.rng.IntN(len(rest)+1)]
	case 1: // there, with a page that is not
		from := w.rng.IntN(len(rest))
		clear(rest[from:min(len(rest), from+1+w.rng.IntN(512))])
	case 2: // long enough, and empty
		clear(rest[w.rng.IntN(len(rest)):])
	}
	return data[:synced] + string(rest)
}

// resurrect makes the next start's folder of what remained.
func (w *world) resurrect(t *testing.T) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "after")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range w.after {
		write(t, filepath.Join(dir, name), []byte(data))
	}
	w.begin(dir)
}

func (w *world) under(cfg *audit.Config) {
	*cfg = audit.WithWrap(*cfg, func(name string, f audit.File) audit.File {
		file := &worldFile{f, w, name}
		w.noteCut(file.info()) // by a repair
		return file
	})
	*cfg = audit.WithFolderSync(*cfg, func(func() error) func() error {
		return func() error {
			w.call("", "folder")
			w.noteFolder()
			return nil
		}
	})
}

// A worldFile is a file of the world's. What it fsyncs is only noted.
type worldFile struct {
	audit.File
	world *world
	name  string
}

func (f *worldFile) Write(p []byte) (int, error) {
	if !f.world.call(f.name, "write") {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:len(p)/2])
	if err == nil {
		err = syscall.ENOSPC
	}
	return n, err
}

func (f *worldFile) Sync() error {
	f.world.call(f.name, "fsync")
	f.world.noteSync(f.info())
	return nil
}

func (f *worldFile) Truncate(size int64) error {
	f.world.call(f.name, "cut")
	err := f.File.Truncate(size)
	f.world.noteCut(f.info())
	return err
}

func (f *worldFile) info() os.FileInfo {
	file, ok := f.File.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		panic("a file without Stat")
	}
	info, err := file.Stat()
	if err != nil {
		panic(err)
	}
	return info
}
