package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
)

// A VerifyConfig says what a trail is held against. With the zero value it can
// only be held against itself.
type VerifyConfig struct {
	// Key is the verifier key as it is known from elsewhere. A key that was
	// rotated counts too, with all that it handed over to.
	Key string
	// Checkpoints are signed checkpoints of the log that were kept elsewhere.
	Checkpoints [][]byte
	// From is the signed checkpoint to begin at, when the days before it were
	// moved away.
	From []byte
	// Progress is called now and then with how many bytes of how many were
	// read. May be nil.
	Progress func(done, total int64)
}

// Verify reads the log in dir and checks its format, its numbering, its chain,
// that each request is closed exactly once, and that each checkpoint is signed
// and is of these lines. It changes nothing and may run while the log is being
// written. The error is a [*VerifyError] for the first thing that is no good,
// [ErrNoTrail], or that of reading; the report then tells how far it came. Memory
// does not grow with the log.
func Verify(ctx context.Context, dir string, cfg VerifyConfig) (*Report, error) {
	d, err := openForReading(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer d.close()
	found, err := d.inventory()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if len(found.days) == 0 {
		return nil, fmt.Errorf("%w in %q", ErrNoTrail, dir)
	}
	v := &verifier{
		ctx: ctx, cfg: cfg, dir: d, follower: newFollower(), report: &Report{Quarantined: found.quarantined},
	}
	err = v.run(found)
	return v.finish(), err
}

var errEmpty = errors.New("the file is empty")

// A verifier holds the lines and the checkpoints of a log against each other.
type verifier struct {
	*follower
	ctx    context.Context //nolint:containedctx // one call long
	cfg    VerifyConfig
	dir    *folder
	days   []string
	report *Report
	marks  *marks // the checkpoints that are still to come
	trust  trust
	tree   tree
	rooted bool  // tree is that of all lines so far
	noted  int64 // the size of the last checkpoint of the history
	file   string
	offset int64 // in file, behind the last line
	done   int64 // bytes read
	total  int64
}

func (v *verifier) run(found *inventory) (err error) {
	if v.marks, v.days, err = v.marksAndDays(found); err != nil {
		return err
	}
	defer v.marks.close()
	from, err := v.begin()
	if err != nil {
		return err
	}
	if err := v.pass(); err != nil {
		return err
	}
	v.size()
	for i := range v.days {
		if err := v.dayFile(i, from); err != nil {
			return err
		}
		from = 0
	}
	if err := v.covered(); err != nil { // first: requests are open where lines are missing
		return err
	}
	return v.closed()
}

// marksAndDays returns the checkpoints and the day files of one moment. The
// checkpoints come first: what they cover was written before them. If a day began
// meanwhile, they lack the one that ends the day before, and are asked for again.
func (v *verifier) marksAndDays(found *inventory) (*marks, []string, error) {
	for {
		m, err := openMarks(v.dir, found, v.cfg.Checkpoints, v.dir.live())
		if err != nil {
			return nil, nil, err
		}
		now, err := v.dir.inventory()
		switch {
		case err != nil:
			m.close()
			return nil, nil, fmt.Errorf("audit: %w", err)
		case slices.Equal(now.days, found.days):
			return m, now.days, nil
		}
		m.close()
		found = now
	}
}

// begin goes to where verification begins: the first line, or behind the
// checkpoint that is given. It returns the offset in the first of v.days.
func (v *verifier) begin() (int64, error) {
	if v.cfg.From == nil {
		return 0, nil
	}
	c, err := v.trust.from(v.cfg.From, v.cfg.Key, v.dir, v.days)
	if err != nil {
		return 0, fmt.Errorf("audit: the checkpoint to begin at: %w", err)
	}
	v.head.Seq, v.logID, v.noted = c.Size, c.LogID, c.Size
	v.tree, v.rooted = *c.tree(), true
	v.report.Begin = c.Size
	at, there := slices.BinarySearch(v.days, c.File)
	v.file, v.offset = c.File, c.Offset
	switch v.days = v.days[at:]; {
	case len(v.days) == 0:
		return 0, &VerifyError{Seq: c.Size + 1, Err: fmt.Errorf("no lines follow the checkpoint to begin at: "+
			"%s and later days are missing", c.File)}
	case there:
		return c.Offset, nil
	default:
		return 0, nil
	}
}

func (v *verifier) size() {
	for _, name := range v.days {
		if f, err := v.dir.open(name, os.O_RDONLY); err == nil { // reading it tells why not
			n, _ := sizeOf(f)
			v.total += n
			_ = f.Close()
		}
	}
}

// dayFile reads a day file from the offset on, to what it has at this moment.
func (v *verifier) dayFile(i int, from int64) error {
	name, lines := v.days[i], int64(0)
	f, err := v.dir.open(name, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer f.Close()
	end, err := sizeOf(f)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if end < from {
		return &VerifyError{File: name, Seq: v.head.Seq, Err: fmt.Errorf("the file ends at byte %d, before "+
			"the checkpoint to begin at (byte %d)", end, from)}
	}
	before := v.file
	if v.file = name; from == 0 {
		if v.offset = 0; v.began && v.noted != v.head.Seq {
			return &VerifyError{File: name, Line: 1, Seq: v.head.Seq + 1, Err: fmt.Errorf(
				"no checkpoint of the history ends the day before (%s)", before)}
		}
	}
	v.done += from
	err = eachRead(v.ctx, io.NewSectionReader(f, from, end-from), from, func(l *readLine) error {
		lines++
		seq := v.expected(l.rec)
		if err := v.line(l, lines == 1 && from == 0, before); err != nil {
			return errorAt(name, lines, from, seq, err)
		}
		return nil
	})
	if err == nil && end == 0 {
		err = errEmpty
	}
	newest := i == len(v.days)-1
	switch beingWritten := errors.Is(err, errUnterminated) || errors.Is(err, errEmpty); {
	case newest && i > 0 && errors.Is(err, errEmpty), newest && beingWritten && v.dir.live():
		v.report.Unfinished = true
	case beingWritten:
		return errorAt(name, lines+1, from, v.expected(nil), err)
	case err != nil:
		return err
	}
	v.report.Files++
	return nil
}

// expected returns the seq that the line at hand should have.
func (v *verifier) expected(r *Record) int64 {
	if !v.began && v.head.Seq == 0 && r != nil {
		return r.Seq
	}
	return v.head.Seq + 1
}

// errorAt names the line; of a file that was not read from its beginning only
// the seq is known.
func errorAt(name string, line, from, seq int64, err error) error {
	if _, named := errors.AsType[*VerifyError](err); named {
		return err
	}
	if from > 0 {
		line = 0
	}
	return &VerifyError{File: name, Line: line, Seq: seq, Err: err}
}

func (v *verifier) line(l *readLine, firstOfFile bool, before string) error {
	if l.err != nil {
		return l.err
	}
	v.countRuns(l.rec)
	if err := v.follow(l.rec, l.hash, firstOfFile, before); err != nil {
		return err
	}
	if dayOf(l.rec.Timestamp) > dayOfFile(v.file) {
		return errorf("the record is of a later day than its file")
	}
	if err := v.trust.read(l.rec); err != nil {
		return err
	}
	if err := v.evidence(l.rec); err != nil {
		return err
	}
	if v.records == 1 && !v.rooted {
		v.rooted = l.rec.Seq == 1
	}
	if v.rooted {
		v.tree.append(l.leaf)
	}
	v.offset = l.offset + int64(len(l.line)) + 1
	v.count(l)
	return v.pass()
}

func (v *verifier) count(l *readLine) {
	if v.records == 1 {
		v.report.FirstSeq, v.report.From = l.rec.Seq, l.rec.Timestamp
	}
	v.report.Bytes += int64(len(l.line)) + 1
	v.report.To = l.rec.Timestamp
	v.done += int64(len(l.line)) + 1
	if v.cfg.Progress != nil && v.records%1024 == 0 {
		v.cfg.Progress(v.done, v.total)
	}
}

func (v *verifier) finish() *Report {
	r := v.report
	r.LogID, r.Head, r.Records = v.logID, v.head, v.records
	r.Open = slices.Sorted(maps.Keys(v.open))
	r.Key, r.SelfAttested = v.trust.current, v.cfg.Key == "" && r.Anchored == 0
	return r
}

// closed checks that only the last run has open requests.
func (v *verifier) closed() error {
	for _, seq := range slices.Sorted(maps.Keys(v.open)) {
		boot := v.adopted
		if received := v.open[seq]; received != nil {
			boot = received.BootID
		}
		if boot != v.boot {
			return &VerifyError{
				Seq: seq,
				Err: errors.New("an earlier run left this request open and no later one closed it"),
			}
		}
	}
	return nil
}
