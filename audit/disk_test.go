package audit_test

import (
	"strings"
	"sync"

	"tollbook/audit"
)

// A disk stands under a log's files: it notes what is asked of them, holds a
// call back, and fails as it is told. Safe for concurrent use.
type disk struct {
	mu      sync.Mutex
	log     string
	failing map[string]fault // by call
	holding string           // the call to hold back
	held    chan struct{}    // receives when a call is held back
	gate    chan struct{}    // closed to let it go on
}

// A fault is what a failing call does: it writes part of what it should (of a
// write) and returns err.
type fault struct {
	err  error
	part int
	at   int // how many calls are good before
}

func (d *disk) under(cfg *audit.Config) {
	d.held = make(chan struct{}, 1)
	*cfg = audit.WithWrap(*cfg, func(name string, f audit.File) audit.File {
		if !strings.HasPrefix(name, "audit_") {
			return &diskFile{f, d, "cp-"}
		}
		return &diskFile{f, d, ""}
	})
	*cfg = audit.WithFolderSync(*cfg, func(sync func() error) func() error {
		return func() error {
			if f, failing := d.call("folder"); failing {
				return f.err
			}
			return sync()
		}
	})
}

func (d *disk) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log += what
}

func (d *disk) calls() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log
}

// fail makes a call fail from now on.
func (d *disk) fail(call string, f fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = map[string]fault{call: f}
}

func (d *disk) heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing = nil
}

// hold makes the next fsync wait until release.
func (d *disk) hold() { d.holdAt("fsync") }

func (d *disk) holdAt(call string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.holding = call
	d.gate = make(chan struct{})
}

func (d *disk) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.gate)
	d.gate = nil
}

func (d *disk) call(name string) (fault, bool) {
	d.mu.Lock()
	gate, holding := d.gate, d.holding
	d.mu.Unlock()
	if gate != nil && name == holding {
		select {
		case d.held <- struct{}{}:
		default:
		}
		<-gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log += name + " "
	f, failing := d.failing[name]
	if failing && f.at > 0 {
		f.at--
		d.failing[name] = f
		return fault{}, false
	}
	return f, failing
}

// A diskFile is a day file, or, with a prefix to its calls, one of checkpoints.
type diskFile struct {
	audit.File
	disk   *disk
	prefix string
}

func (f *diskFile) Write(p []byte) (int, error) {
	if fault, failing := f.disk.call(f.prefix + "write"); failing {
		n, err := f.File.Write(p[:min(fault.part, len(p))])
		if err != nil {
			return n, err
		}
		return n, fault.err
	}
	return f.File.Write(p)
}

func (f *diskFile) Sync() error {
	if fault, failing := f.disk.call(f.prefix + "fsync"); failing {
		return fault.err
	}
	return f.File.Sync()
}

func (f *diskFile) Truncate(size int64) error {
	if fault, failing := f.disk.call(f.prefix + "cut"); failing {
		return fault.err
	}
	return f.File.Truncate(size)
}

func (f *diskFile) Close() error {
	f.disk.call(f.prefix + "close")
	return f.File.Close()
}

// step lets the call that is held go on, and holds the next.
func (d *disk) step() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.gate)
	d.gate = make(chan struct{})
}
