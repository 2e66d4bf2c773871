package audit

// A follower walks along the lines of a log in their order and checks all that
// they say of each other: start and verify read with it.
type follower struct {
	head  Head
	logID string
	boot  string // of the last record
	began bool   // a line was seen
	// open holds the requests that are not closed; of those that a `day` record
	// names and no line was seen of, only the seq is known.
	open map[int64]*Record
	// openParts collects the seqs that the `day` records of a file name.
	openParts []int64
	adopt     bool   // what came before is not known: believe the day record
	adopted   string // the boot of the day record that was believed
	last      *Record
	records   int64
}

func newFollower() *follower { return &follower{open: make(map[int64]*Record)} }

// next reads one line. firstOfFile says that a day file begins with it, after
// the file called before ("" if there is none that is known).
func (f *follower) next(line []byte, firstOfFile bool, before string) (*Record, error) {
	r, err := Parse(line)
	if err != nil {
		return nil, err
	}
	if err := f.chain(r); err != nil {
		return r, err
	}
	if err := f.dayRecord(r, firstOfFile, before); err != nil {
		return r, err
	}
	if err := f.close(r); err != nil {
		return r, err
	}
	f.head = Head{Seq: r.Seq, Hash: HashLine(line)}
	f.logID, f.boot, f.last, f.began = r.LogID, r.BootID, r, true
	f.records++
	return r, nil
}

func (f *follower) chain(r *Record) error {
	if !f.began && r.Seq > 1 {
		return nil // the days before were moved away
	}
	if err := f.head.follow(r); err != nil {
		return err
	}
	if f.began && r.LogID != f.logID {
		return errorf("log_id is not that of the lines before: this line is of another log")
	}
	return nil
}

// dayRecord checks that day files, and only they, begin with `day` records, and
// what these say.
func (f *follower) dayRecord(r *Record, firstOfFile bool, before string) error {
	isDay := isDayRecord(r)
	part, parts := dayInt(r, "part"), dayInt(r, "parts")
	due := firstOfFile || f.withinDayRecord()
	switch {
	case due != isDay && due:
		return errorf("a day file must begin with its day record")
	case due != isDay:
		return errorf("a day record where no day begins")
	case !isDay:
		return nil
	}
	if firstOfFile {
		f.openParts, f.adopt = nil, !f.began && r.Seq > 1
	}
	name, _ := r.Metadata.Get("file_before")
	seqs, ok := r.Metadata.ints("open")
	named, _ := name.Str()
	switch wantPart := 1 + int64(len(f.openParts)/maxOpenSeqs); {
	case !ok || part != wantPart || parts < part || part < parts && len(seqs) != maxOpenSeqs:
		return errorf("the day record is not of the form of version %d", Version)
	case dayInt(r, "tree_size") != r.Seq-part:
		return errorf("the day record's tree_size is %d, want %d", dayInt(r, "tree_size"), r.Seq-part)
	case before != "" && named != before:
		return errorf("the day record names another file before than %s", before)
	}
	f.openParts = append(f.openParts, seqs...)
	if part == parts {
		return f.adoptOpen(r.BootID)
	}
	return nil
}

func isDayRecord(r *Record) bool { return r.Phase == System && r.Reason == "day" }

// withinDayRecord reports whether the last line is a `day` record of which more
// parts must follow.
func (f *follower) withinDayRecord() bool {
	return f.last != nil && isDayRecord(f.last) && dayInt(f.last, "part") < dayInt(f.last, "parts")
}

func dayInt(r *Record, name string) int64 {
	v, _ := r.Metadata.Get(name)
	n, _ := v.Int64()
	return n
}

// adoptOpen takes over the open requests that the `day` records name, or checks
// them if they are known.
func (f *follower) adoptOpen(boot string) error {
	if f.adopt {
		f.adopted = boot
		for _, seq := range f.openParts {
			f.open[seq] = nil
		}
		return nil
	}
	if len(f.openParts) != len(f.open) {
		return errorf("the day record names %d open requests, want %d", len(f.openParts), len(f.open))
	}
	for _, seq := range f.openParts {
		if _, isOpen := f.open[seq]; !isOpen {
			return errorf("the day record names seq %d as open, which is not", seq)
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
		if !isOpen {
			return errorf("it closes seq %d, which is not open", r.ReceivedSeq)
		}
		if received != nil && received.RequestID != r.RequestID {
			return errorf("it closes seq %d, which is another request", r.ReceivedSeq)
		}
		delete(f.open, r.ReceivedSeq)
	case System:
		if r.Reason == "start" {
			return f.started(r)
		}
	}
	return nil
}

// started checks that a run closes what earlier ones left open before it serves.
func (f *follower) started(r *Record) error {
	for seq, received := range f.open {
		if received == nil || received.BootID != r.BootID {
			return errorf("an earlier run left seq %d open and this one started without closing it", seq)
		}
	}
	return nil
}
