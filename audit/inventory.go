package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The names of the files of a log. Dates are in UTC, YYYYMMDD.
const (
	dayPrefix  = "audit_" // day files
	daySuffix  = ".jsonl"
	notePrefix = "checkpoints_" // the history of checkpoints
	noteSuffix = ".txt"
	dateLayout = "20060102"

	checkpointName = "checkpoint"      // the newest checkpoint
	keyName        = "signing.key"     // unless the key is given
	newKeyName     = "signing.key.new" // while the key is rotated
	tornMark       = ".torn-"          // in the names of evidence
	tempSuffix     = ".tmp"            // of files that are not yet renamed
	quarantineMark = "quarantine_"     // begins the names of folders
)

// A day counts from 1970-01-01 in UTC.
type day int64

func dayOf(t time.Time) day { return day(t.Unix() / 86400) }

func (d day) date() string { return time.Unix(int64(d)*86400, 0).UTC().Format(dateLayout) }

func (d day) fileName() string { return dayPrefix + d.date() + daySuffix }

func (d day) historyName() string { return notePrefix + d.date() + noteSuffix }

// dayIn returns the day in a name between prefix and suffix.
func dayIn(name, prefix, suffix string) (day, bool) {
	date, ok1 := strings.CutPrefix(name, prefix)
	date, ok2 := strings.CutSuffix(date, suffix)
	t, err := time.Parse(dateLayout, date)
	return dayOf(t), ok1 && ok2 && err == nil
}

// isDayFile reports whether name is that of a day file.
func isDayFile(name string) bool {
	_, ok := dayIn(name, dayPrefix, daySuffix)
	return ok
}

// dayOfFile returns the day of a name that isDayFile takes.
func dayOfFile(name string) day {
	d, _ := dayIn(name, dayPrefix, daySuffix)
	return d
}

// dayOfHistory returns the day of the name of a checkpoints file.
func dayOfHistory(name string) day {
	d, _ := dayIn(name, notePrefix, noteSuffix)
	return d
}

// An inventory says what of a log is in a folder.
type inventory struct {
	days        []string // names of the day files, oldest first
	histories   []string // names of the checkpoints files, oldest first
	evidence    []string // names of what repairs cut off
	quarantined []string // names of the folders that hold quarantined logs
	checkpoint  bool
	key, newKey bool // of the signing key, and of the one that will replace it
	empty       bool // nothing at all is there
}

// blank reports whether no log has been written here.
func (i *inventory) blank() bool { return len(i.days)+len(i.histories)+len(i.evidence) == 0 }

// files returns the names of all files that belong to the log, the checkpoint
// first: without it no start takes what is left.
func (i *inventory) files() []string {
	var names []string
	if i.checkpoint {
		names = append(names, checkpointName)
	}
	names = slices.Concat(names, i.days, i.histories, i.evidence)
	if i.key {
		names = append(names, keyName)
	}
	if i.newKey {
		names = append(names, newKeyName)
	}
	return names
}

// before returns the name of the day file before the one called name, "" if
// there is none.
func (i *inventory) before(name string) string {
	at, _ := slices.BinarySearch(i.days, name)
	if at == 0 {
		return ""
	}
	return i.days[at-1]
}

// inventory lists what is there.
func (d *folder) inventory() (*inventory, error) {
	if _, err := d.dir.Seek(0, 0); err != nil {
		return nil, fmt.Errorf("folder %q: %w", d.path, err)
	}
	entries, err := d.dir.ReadDir(-1)
	if err != nil {
		return nil, fmt.Errorf("folder %q: %w", d.path, err)
	}
	found := &inventory{empty: len(entries) == 0}
	for _, e := range entries {
		found.add(e.Name(), e.IsDir())
	}
	slices.Sort(found.days)
	slices.Sort(found.histories)
	slices.Sort(found.evidence)
	slices.Sort(found.quarantined)
	return found, nil
}

func (i *inventory) add(name string, isDir bool) {
	_, isHistory := dayIn(name, notePrefix, noteSuffix)
	switch {
	case isDayFile(name):
		i.days = append(i.days, name)
	case isHistory:
		i.histories = append(i.histories, name)
	case isDir && strings.HasPrefix(name, quarantineMark):
		i.quarantined = append(i.quarantined, name)
	case isDir:
	case strings.Contains(name, tornMark):
		i.evidence = append(i.evidence, name)
	case name == checkpointName:
		i.checkpoint = true
	case name == keyName:
		i.key = true
	case name == newKeyName:
		i.newKey = true
	}
}
