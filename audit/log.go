package audit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// ErrUnavailable is wrapped by every error that says that a record could not be
// written: nothing that depends on the record may happen.
var ErrUnavailable = errors.New("audit: trail unavailable")

// ErrClosed is returned after [Log.Close]. It wraps [ErrUnavailable].
var ErrClosed = fmt.Errorf("%w: closed", ErrUnavailable)

// ErrTaken is wrapped by an error of [Log.Begin] beside its cause: the record may
// be in the trail; it is closed as not_forwarded. The caller need not, and should
// not, [Log.Refuse] the request too.
var ErrTaken = errors.New("the record may be in the trail; it is closed as not_forwarded")

// A Log is the trail in one folder, open for writing. One goroutine of its own
// writes; all methods are safe for concurrent use. Open makes it, the caller
// closes it.
type Log struct {
	Config
	dir    *folder
	logID  string
	bootID string
	// signer signs the checkpoints of this run, which verifierKey verifies.
	signer      note.Signer
	verifierKey string

	mu     sync.Mutex
	queue  []*entry
	retry  []*entry  // records that must still be written, before those of queue
	since  time.Time // when the running commit or fsync began; zero if none runs
	fault  error     // why the last commit failed; nil if it did not
	broken bool      // the fault is for good
	// cosigner signs too, while the key is rotated; nil otherwise.
	cosigner    note.Signer
	cosignerKey string
	low         error // why no new request is taken though all can be written
	free        int64 // bytes in the file system when it was asked last; -1 unknown
	closing     bool
	head        Head // of the last durable line

	wake     chan struct{} // there is something in the queue
	stop     chan struct{} // closed by Close
	failed   chan struct{} // closed when broken
	stopped  chan struct{} // closed when the writer has ended
	closeErr error         // the writer's last word, set before stopped

	refusals refusals
	writer   writer
	seal     sealer
}

// Open opens the log in cfg.Dir, or begins one there. It goes on from the newest
// checkpoint: it cuts a torn tail, whose bytes are kept beside, closes the
// requests that an earlier run left open, writes this run's `start` record and
// signs all that; it is durable when Open returns. How long that takes does not
// depend on the size of the log. It refuses a folder that another process has
// open, that others could write to, whose key is missing or another, or whose
// end is damaged.
func Open(cfg Config) (_ *Log, err error) {
	cfg.defaults()
	dir, err := cfg.openFolder()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l := &Log{
		Config: cfg, dir: dir, bootID: newID(),
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
		failed: make(chan struct{}), stopped: make(chan struct{}),
	}
	l.refusals.init()
	if err := l.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("audit: %w", err), l.release())
	}
	l.lookForRoom()
	go l.run()
	return l, nil
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// Begin records that a request was asked, and returns when that is durable: only
// then may it be forwarded. Of r it takes what is known of the request; the
// fields that the log itself gives (times, chain, ids, phase, attribution, what
// it closes, what was cut) are ignored, and no event type is [EventRequest]. The
// caller ends the exchange.
//
// After an error, which wraps [ErrUnavailable] or ctx's cause, the request must
// not be forwarded. If it wraps [ErrTaken] too, the trail may hold the record and
// then says so: not_forwarded, with the reason client_aborted if ctx ended and
// audit_unavailable if MaxWait passed. Otherwise it holds nothing of the request,
// or, where the trail failed for good, what the next start closes as interrupted.
func (l *Log) Begin(ctx context.Context, r *Record) (*Exchange, error) {
	rec := asked(r, Received)
	e, err := l.submit(rec)
	if err != nil {
		return nil, err
	}
	if err := l.wait(ctx, e); err != nil {
		return nil, err
	}
	return &Exchange{log: l, received: rec, seq: e.seq}, nil
}

// asked returns a copy of r without what the log itself gives.
func asked(r *Record, phase Phase) *Record {
	rec := *r
	rec.Phase = phase
	rec.ReceivedSeq, rec.Outcome, rec.Derived = 0, "", false
	rec.Truncated, rec.Unknown = nil, nil
	if rec.EventType == "" {
		rec.EventType = EventRequest
	}
	return &rec
}

// Record writes a system record and returns when it is durable. The reason is
// its kind.
func (l *Log) Record(ctx context.Context, reason string, metadata Object) error {
	e, err := l.submit(systemRecord(reason, metadata))
	if err != nil {
		return err
	}
	return l.wait(ctx, e)
}

func systemRecord(reason string, metadata Object) *Record {
	return &Record{EventType: EventSystem, Phase: System, Reason: reason, Metadata: metadata}
}

// Err says why no new request can be recorded now; nil if one can.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed()
}

// closed says why no new request is taken, with the lock held.
func (l *Log) closed() error {
	if err := l.unavailable(); err != nil {
		return err
	}
	if l.low != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, l.low)
	}
	return nil
}

// unavailable says why nothing can be written, with the lock held.
func (l *Log) unavailable() error {
	switch {
	case l.fault != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, l.fault)
	case l.closing:
		return ErrClosed
	case !l.since.IsZero() && time.Since(l.since) > l.MaxWait:
		return fmt.Errorf("%w: a write has been under way for %s", ErrUnavailable,
			time.Since(l.since).Round(time.Millisecond))
	default:
		return nil
	}
}

// Failed returns a channel that is closed when the trail has failed for good:
// the process should end, since only a new start can find out what is on disk.
func (l *Log) Failed() <-chan struct{} { return l.failed }

// Head returns the end of what is written.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// ID returns the log's id: 32 hex digits, made with its first record.
func (l *Log) ID() string { return l.logID }

// VerifierKey returns the public key that this run's checkpoints verify with, in
// the encoding of a note's verifier key.
func (l *Log) VerifierKey() string { return l.verifierKey }

// Close writes what is still queued and the `stop` record, makes all durable and
// gives the folder up. Exchanges that are still open stay so: the next start
// closes them as interrupted. It returns why the trail failed, if it did.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closing {
		l.closing = true
		close(l.stop)
	}
	l.mu.Unlock()
	hung := time.NewTimer(l.MaxWait + tickEvery)
	defer hung.Stop()
	select {
	case <-l.stopped:
		return l.closeErr
	case <-hung.C:
		return fmt.Errorf("%w: a write does not end", ErrUnavailable)
	}
}
