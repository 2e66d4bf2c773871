package audit

import (
	"sync"
	"time"
)

// AppendRecord writes r as one line without its newline, for records that are
// whole: the timestamp, seq, prev_hash, log_id and boot_id are taken as they
// stand in r. It is the inverse of [Parse]. Safe for concurrent use.
func AppendRecord(dst []byte, r *Record) []byte {
	d := draft{derived: r.Derived}
	d.encode(r)
	return d.appendLine(dst, r.Timestamp, Head{Seq: r.Seq - 1, Hash: r.PrevHash})
}

// A draft is a record that is encoded but for what only the writer of the line
// knows: its time, its place in the chain and what follows from them. So the
// requests encode at the same time and the writer only puts together.
type draft struct {
	head    []byte // after the timestamp, to alcoa_contemporaneous
	tail    []byte // from log_id to the end
	derived bool
}

// encode makes one allocation: the draft's own bytes.
func (d *draft) encode(r *Record) {
	scratch := scratches.Get().(*[]byte)
	buf := (*scratch)[:0]
	for i := fieldTimestamp + 1; i < fieldContemp; i++ {
		buf = appendField(buf, i, r)
	}
	split := len(buf)
	for i := fieldLogID; i < len(fields); i++ {
		buf = appendField(buf, i, r)
	}
	buf = append(buf, '}')
	whole := append([]byte(nil), buf...)
	d.head, d.tail, d.derived = whole[:split:split], whole[split:], r.Derived
	if cap(buf) <= maxScratch {
		*scratch = buf
		scratches.Put(scratch)
	}
}

// scratches holds buffers to encode in, until the length is known. One that a
// huge record made grow is not kept.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 2 * MaxLine

// appendField writes `,"name":value` of the field at place i of the table, and
// the twin of a text that is no UTF-8.
func appendField(dst []byte, i int, r *Record) []byte {
	if value, isText := fields[i].codec.(text); isText {
		return appendTextField(dst, i, *value(r))
	}
	switch f := fields[i]; {
	case f.known(r):
		return f.append(append(dst, keys[i]...), r)
	case i < alwaysPresent:
		return appendNull(dst, i)
	default:
		return dst
	}
}

func appendNull(dst []byte, i int) []byte { return append(append(dst, keys[i]...), "null"...) }

func appendTextField(dst []byte, i int, value string) []byte {
	if value == "" {
		if i < alwaysPresent {
			dst = appendNull(dst, i)
		}
		return dst
	}
	dst, valid := appendText(append(dst, keys[i]...), value)
	if !valid {
		dst = append(dst, twinKey(i)...)
		dst = appendString(dst, encodeTwin(value))
	}
	return dst
}

// The line's fixed parts between those of the draft.
const (
	openLine       = `{"timestamp":"`
	contempPart    = `,"alcoa_contemporaneous":"`
	originalPart   = `","alcoa_original":`
	versionSeqPart = `,"v":1,"seq":`
	prevPart       = `,"prev_hash":"`
	fixedLen       = len(openLine) + len(contempPart) + len(originalPart) + len("false") +
		len(versionSeqPart) + len("9223372036854775807") + len(prevPart) + 2*len(Hash{}) +
		2*timeLen + len(`""`) + len("\n")
)

// maxLen is the length of the longest line that the draft can become.
func (d *draft) maxLen() int { return len(d.head) + len(d.tail) + fixedLen }

// appendLine writes the line that follows prev, without its newline.
func (d *draft) appendLine(dst []byte, now time.Time, prev Head) []byte {
	at := len(dst) + len(openLine)
	dst = append(dst, openLine...)
	dst = appendTime(dst, now)
	dst = append(dst, '"')
	dst = append(dst, d.head...)
	dst = append(dst, contempPart...)
	dst = append(dst, dst[at:at+timeLen]...)
	dst = append(dst, originalPart...)
	dst = appendBool(dst, !d.derived)
	dst = append(dst, versionSeqPart...)
	dst = appendInt(dst, prev.Seq+1)
	dst = append(dst, prevPart...)
	dst = appendHex(dst, prev.Hash)
	dst = append(dst, '"')
	return append(dst, d.tail...)
}
