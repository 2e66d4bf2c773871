package audit

// A follower walks along the lines of a log in their order and checks all that
// they say of each other: start and verify read with it.
type follower struct {
	head  Head
	logID string // "" before the first line, unless it is known
	boot  string // of the last record
	began bool   // a line was seen
	// open holds the requests that are not closed; of those that a `day` or
	// `open` record names and no line was seen of, only the seq is known.
	open map[int64]*Record
	// openParts collects the seqs that the records of one group name.
	openParts []int64
	adopt     bool   // what came before is not known: believe the group
	partial   bool   // what came before is not known, and no group has told
	adopted   string // the boot of the group that was believed
	last      *Record
	records   int64
}

func newFollower() *follower { return &follower{open: make(map[int64]*Record)} }

// follow takes the next line. firstOfFile says that a day file begins with it,
// after the file called before ("" if there is none that is known).
func (f *follower) follow(r *Record, hash Hash, firstOfFile bool, before string) error {
	if err := f.chain(r); err != nil {
		return err
	}
	if err := f.openRecord(r, firstOfFile, before); err != nil {
		return err
	}
	if err := f.close(r); err != nil {
		return err
	}
	f.head = Head{Seq: r.Seq, Hash: hash}
	f.logID, f.boot, f.last, f.began = r.LogID, r.BootID, r, true
	f.records++
	return nil
}

func (f *follower) chain(r *Record) error {
	if f.logID != "" && r.LogID != f.logID {
		return errorf("log_id is not that of this log: the line is of another")
	}
	if !f.began && f.head.Seq == 0 && r.Seq > 1 {
		f.partial = true // the days before were moved away
		return nil
	}
	if !f.began && f.head.Seq > 0 { // what lies before is known by its number alone
		f.partial = true
		if r.Seq != f.head.Seq+1 {
			return errorf("seq is %d, want %d", r.Seq, f.head.Seq+1)
		}
		return nil
	}
	if err := f.head.follow(r); err != nil {
		return err
	}
	if f.last != nil && ended(f.last) && r.BootID == f.boot {
		return errorf("a record of a run behind its stop record")
	}
	return nil
}

// The kinds of system records that readers must know.
const (
	reasonDay      = "day"   // names the open requests; a day file begins with one
	reasonOpen     = "open"  // names the open requests within a day file
	reasonStart    = "start" // there are no open requests
	reasonStop     = "stop"
	reasonRecovery = "recovery"
	reasonRotated  = "key_rotated"
)

// namesOpen reports whether r is of a group that names the open requests.
func namesOpen(r *Record) bool {
	return r.Phase == System && (r.Reason == reasonDay || r.Reason == reasonOpen)
}

// openRecord checks that day files, and only they, begin with `day` records, and
// what these and `open` records say.
func (f *follower) openRecord(r *Record, firstOfFile bool, before string) error {
	isDay := r.Phase == System && r.Reason == reasonDay
	within := f.withinGroup()
	switch {
	case within && (!namesOpen(r) || r.Reason != f.last.Reason):
		return errorf("the parts of the %s record before are not complete", f.last.Reason)
	case !within && firstOfFile && !isDay:
		return errorf("a day file must begin with its day record")
	case !within && !firstOfFile && isDay:
		return errorf("a day record where no day begins")
	case !namesOpen(r):
		return nil
	}
	if !within {
		f.openParts, f.adopt = nil, f.partial
	}
	return f.openPart(r, before)
}

func (f *follower) openPart(r *Record, before string) error {
	part, parts := metaInt(r, "part"), metaInt(r, "parts")
	seqs, ok := r.Metadata.ints("open")
	name, _ := r.Metadata.Get("file_before")
	named, _ := name.Str()
	switch wantPart := 1 + int64(len(f.openParts)/maxOpenSeqs); {
	case !ok || part != wantPart || parts < part || part < parts && len(seqs) != maxOpenSeqs:
		return errorf("the %s record is not of the form of version %d", r.Reason, Version)
	case metaInt(r, "tree_size") != r.Seq-part:
		return errorf("the %s record's tree_size is %d, want %d", r.Reason, metaInt(r, "tree_size"), r.Seq-part)
	case before != "" && r.Reason == reasonDay && named != before:
		return errorf("the day record names another file before than %s", before)
	}
	f.openParts = append(f.openParts, seqs...)
	if part == parts {
		return f.adoptOpen(r.BootID)
	}
	return nil
}

// withinGroup reports whether the last line is of a group of which more parts
// must follow.
func (f *follower) withinGroup() bool {
	return f.last != nil && namesOpen(f.last) && metaInt(f.last, "part") < metaInt(f.last, "parts")
}

func metaInt(r *Record, name string) int64 {
	v, _ := r.Metadata.Get(name)
	n, _ := v.Int64()
	return n
}

func metaString(r *Record, name string) string {
	v, _ := r.Metadata.Get(name)
	s, _ := v.Str()
	return s
}

// adoptOpen takes over the open requests that a group names, or checks them if
// they are known.
func (f *follower) adoptOpen(boot string) error {
	if f.adopt {
		f.adopted, f.partial = boot, false
		for _, seq := range f.openParts {
			if f.open[seq] == nil {
				f.open[seq] = nil
			}
		}
	}
	if len(f.openParts) != len(f.open) {
		return errorf("the record names %d open requests, want %d", len(f.openParts), len(f.open))
	}
	for _, seq := range f.openParts {
		if _, isOpen := f.open[seq]; !isOpen {
			return errorf("the record names seq %d as open, which is not", seq)
		}
	}
	return nil
}

// close keeps the books of open requests.
func (f *follower) close(r *Record) error {
	switch r.Phase {
	case Received:
		f.open[r.Seq] = r
	case Completed, Interrupted:
		received, isOpen := f.open[r.ReceivedSeq]
		if !isOpen && (!f.partial || f.seen(r.ReceivedSeq)) {
			return errorf("it closes seq %d, which is not open", r.ReceivedSeq)
		}
		if received != nil && received.RequestID != r.RequestID {
			return errorf("it closes seq %d, which is another request", r.ReceivedSeq)
		}
		delete(f.open, r.ReceivedSeq)
	case System:
		if r.Reason == reasonStart {
			return f.started(r)
		}
	}
	return nil
}

// seen reports whether the line of this seq is one of those that were read.
func (f *follower) seen(seq int64) bool { return seq > f.head.Seq-f.records }

// started checks that a run closes what earlier ones left open before it serves.
func (f *follower) started(r *Record) error {
	for seq, received := range f.open {
		if received == nil || received.BootID != r.BootID {
			return errorf("an earlier run left seq %d open and this one started without closing it", seq)
		}
	}
	f.partial = false // whatever came before is closed
	return nil
}

// ended reports whether r is the last record of a run that ended well.
func ended(r *Record) bool { return r.Phase == System && r.Reason == reasonStop }
