package audit

import (
	"os"
	"time"
)

// A Durability says when a record counts as written.
type Durability int

// The durabilities. There is no "off".
const (
	// Fsync: when the disk has it. It survives a power cut.
	Fsync Durability = iota
	// OS: when the operating system has it. It survives our crash; a power cut
	// may cost the last second.
	OS
)

// A Config says how to open a [Log].
type Config struct {
	// Dir is the folder. It is made, with its parents, if it is missing.
	Dir string
	// Durability is Fsync unless set.
	Durability Durability
	// MaxWait is the longest that a record is waited for; 0 means 2 s.
	MaxWait time.Duration
	// MinFree is how many bytes must be free in the folder's file system for
	// new requests to be recorded; 0 means that none need be.
	MinFree int64
	// SigningKey signs the checkpoints. The zero key stands for one that is made
	// with the log and kept in its folder.
	SigningKey SigningKey
	// Start is the metadata of this run's `start` record.
	Start Object
	// OnState is called by the writer when the trail becomes unavailable, with
	// the cause, and when it is available again, with nil. It must not call
	// the Log. May be nil.
	OnState func(error)
	// OnCheckpoint is called by the writer with each signed checkpoint that goes
	// into the history: once a minute, at midnight and at the end. Copies of it
	// elsewhere are what the trail can later be held against. It must not call
	// the Log. May be nil.
	OnCheckpoint func(note string)
	// OnCommit is called by the writer after each group commit that was good,
	// when those who wait for its records were told; the first calls come from
	// within Open. It must not call the Log nor block: the next commit waits for
	// it. May be nil.
	OnCommit func(Commit)
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// What tests put in: faults of the files and of the folder's fsync, and the
	// clock of once a second.
	wrap      func(name string, f file) file
	wrapSync  func(sync func() error) func() error
	ticks     <-chan time.Time
	monotonic func() time.Duration         // since any moment; never set
	freeBytes func(*folder) (int64, error) // in the file system

	rotating bool       // a new key may lie in the folder
	pending  SigningKey // that key
	cosign   SigningKey // signs too, from the first checkpoint on
	setAside Object     // what is told first of a log that takes the place of another
}

// openFolder opens the log's folder, which it makes if it is missing.
func (cfg *Config) openFolder() (*folder, error) {
	dir, err := openFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	dir.wrap = cfg.wrap
	if cfg.wrapSync != nil {
		dir.fsync = cfg.wrapSync(dir.fsync)
	}
	return dir, nil
}

// openExisting is openFolder for a folder that must be there.
func (cfg *Config) openExisting() (*folder, error) {
	if _, err := os.Lstat(cfg.Dir); err != nil {
		return nil, err
	}
	return cfg.openFolder()
}

// defaults fills in what is not set.
func (cfg *Config) defaults() {
	if cfg.MaxWait == 0 {
		cfg.MaxWait = defaultMaxWait
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.monotonic == nil {
		began := time.Now()
		cfg.monotonic = func() time.Duration { return time.Since(began) }
	}
	if cfg.freeBytes == nil {
		cfg.freeBytes = (*folder).freeBytes
	}
}

const (
	defaultMaxWait = 2 * time.Second
	maxQueue       = 8192    // records waiting for a commit
	maxBatch       = 4 << 20 // bytes of one commit
	tickEvery      = time.Second
)
