package audit

import "time"

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

func (d *draft) encode(r *Record) {
	buf := make([]byte, 0, 1024)
	for i := fieldTimestamp + 1; i < fieldContemp; i++ {
		buf = appendField(buf, &fields[i], r, true)
	}
	split := len(buf)
	for i := fieldLogID; i < len(fields); i++ {
		buf = appendField(buf, &fields[i], r, i < alwaysPresent)
	}
	buf = append(buf, '}')
	d.head, d.tail, d.derived = buf[:split:split], buf[split:], r.Derived
}

// appendField writes `,"name":value`, and the twin of a text that is no UTF-8.
func appendField(dst []byte, f *field, r *Record, always bool) []byte {
	known := f.known(r)
	if !known && !always {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, f.name...)
	dst = append(dst, '"', ':')
	if !known {
		return append(dst, "null"...)
	}
	dst = f.append(dst, r)
	if value, isText := f.codec.(text); isText && !validUTF8(*value(r)) {
		dst = append(dst, ',', '"')
		dst = append(dst, f.name...)
		dst = append(dst, twinSuffix...)
		dst = append(dst, '"', ':')
		dst = appendString(dst, encodeTwin(*value(r)))
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
