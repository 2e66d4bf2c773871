package audit

import "time"

// A Commit is a group commit: records that became durable together.
type Commit struct {
	// Records is how many lines were written, those included that the log adds
	// itself.
	Records int
	// Duration is how long writing them took, the fsync included where there is
	// one; not how long they had waited for it.
	Duration time.Duration
}

// tellCommit hands on what was written last, if that was good.
func (l *Log) tellCommit() {
	if l.OnCommit != nil && l.writer.made.Records > 0 {
		l.OnCommit(l.writer.made)
	}
}

// Stats are what there is to watch of a [Log].
type Stats struct {
	// Queued is how many records wait to be written.
	Queued int
	// DurableSeq is the seq of the newest record that counts as written: see
	// [Durability].
	DurableSeq int64
	// FreeBytes is how much was free in the folder's file system when the writer
	// asked last, once a second unless the disk hangs; -1 if it could not tell.
	FreeBytes int64
	// Err is what [Log.Err] returns.
	Err error
}

// Stats returns what there is to watch. It asks nothing of the disk, and is safe
// for concurrent use, after Close too.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Queued: len(l.queue) + len(l.retry), DurableSeq: l.head.Seq,
		FreeBytes: l.free, Err: l.closed(),
	}
}
