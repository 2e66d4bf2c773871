package audit

import (
	"maps"
	"slices"
)

// maxOpenSeqs is how many seqs a `day` or `open` record can hold.
const maxOpenSeqs = 1000

// openRecords makes the records that name the requests that are open: those that
// a day file begins with, or those that stand within it.
func (l *Log) openRecords(begun bool) []*entry {
	w := &l.writer
	open := slices.Sorted(maps.Keys(w.open))
	parts := max(1, (len(open)+maxOpenSeqs-1)/maxOpenSeqs)
	entries := make([]*entry, 0, parts)
	for part := range parts {
		some := open[part*maxOpenSeqs : min(len(open), (part+1)*maxOpenSeqs)]
		seqs := make([]Value, len(some))
		for i, seq := range some {
			seqs[i] = Int(seq)
		}
		r := systemRecord(reasonOpen, Object{
			{"open", List(seqs...)},
			{"part", Int(int64(part + 1))},
			{"parts", Int(int64(parts))},
			{"tree_size", Int(w.head.Seq)},
		})
		if begun {
			r.Reason = reasonDay
			r.Metadata = append(r.Metadata, l.aboutDay()...)
		}
		r.LogID, r.BootID = l.logID, l.bootID
		e := &entry{record: r}
		e.encode(r)
		entries = append(entries, e)
	}
	return entries
}

// aboutDay tells what came before a day file, and whose signatures to expect.
func (l *Log) aboutDay() Object {
	before := Value{}
	if l.writer.previous != "" {
		before = String(l.writer.previous)
	}
	return Object{{"file_before", before}, {"verifier_key", String(l.keyInForce())}}
}
