package proxy

import (
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Reload tells what became of files that were changed while they were in use.
type Reload struct {
	// Files are those that belong together.
	Files []string
	// NotAfter is when the certificate that is now in use expires; zero for
	// files of roots.
	NotAfter time.Time
	// Err says why the new files are not used, and the old ones still are.
	Err error
}

// reloadInterval is how often files are looked at, at the most.
const reloadInterval = time.Second

// A reloaded value is made from files, and made anew when their contents change:
// secrets are replaced by renaming files, by turning links of folders, and in
// place. It is safe for concurrent use.
type reloaded[T any] struct {
	files  []string
	parse  func(contents [][]byte) (T, error)
	now    func() time.Time
	report func(T, error) // may be nil

	current atomic.Pointer[T]
	mu      sync.Mutex // held while the files are looked at
	looked  time.Time
	seen    [sha256.Size]byte // what was made of them, or would not be
}

// load reads the files for the first time.
func (v *reloaded[T]) load() error {
	v.looked = v.now()
	contents, err := v.read()
	if err != nil {
		return err
	}
	value, err := v.parse(contents)
	if err != nil {
		return err
	}
	v.seen = fingerprint(contents, nil)
	v.current.Store(&value)
	return nil
}

// get returns the newest good value. Of those who ask at the same time one looks
// at the files, and no other waits for the disk.
func (v *reloaded[T]) get() T {
	if v.mu.TryLock() {
		defer v.mu.Unlock()
		v.look()
	}
	return *v.current.Load()
}

// look makes a new value if the files have changed. What is wrong with them is
// reported once.
func (v *reloaded[T]) look() {
	now := v.now()
	if age := now.Sub(v.looked); age >= 0 && age < reloadInterval {
		return
	}
	v.looked = now
	contents, err := v.read()
	seen := fingerprint(contents, err)
	if seen == v.seen {
		return
	}
	v.seen = seen
	var value T
	if err == nil {
		value, err = v.parse(contents)
	}
	if err == nil {
		v.current.Store(&value)
	}
	if v.report != nil {
		v.report(*v.current.Load(), err)
	}
}

func (v *reloaded[T]) read() (contents [][]byte, err error) {
	for _, name := range v.files {
		content, err := readPEM(name)
		if err != nil {
			return nil, err
		}
		contents = append(contents, content)
	}
	return contents, nil
}

// fingerprint is the same for the same contents, and for the same error.
func fingerprint(contents [][]byte, err error) [sha256.Size]byte {
	var all strings.Builder
	for _, content := range contents {
		sum := sha256.Sum256(content)
		all.Write(sum[:])
	}
	if err != nil {
		all.WriteString(err.Error())
	}
	return sha256.Sum256([]byte(all.String()))
}

// reporter makes reports of what the files' owner wants to know; nil if nothing.
func reporter[T any](tell func(Reload), files []string, notAfter func(T) time.Time) func(T, error) {
	if tell == nil {
		return nil
	}
	return func(value T, err error) {
		tell(Reload{Files: slices.Clone(files), NotAfter: notAfter(value), Err: err})
	}
}
