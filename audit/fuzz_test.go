package audit_test

import (
	"bytes"
	"reflect"
	"testing"

	"tollbook/audit"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte(goldenSmall))
	f.Add([]byte(goldenFull))
	f.Add([]byte(goldenFull[:len(goldenFull)-1] + `,"new":[{}]}`))
	for _, text := range hostileTexts {
		r := small()
		r.JobID, r.Metadata = text, audit.Object{{Name: text, Value: audit.String(text)}}
		f.Add(audit.AppendRecord(nil, r))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := audit.Parse(line)
		if err != nil || len(r.Unknown) > 0 {
			return
		}
		if again := audit.AppendRecord(nil, r); !bytes.Equal(again, line) {
			t.Errorf("accepted %s\nwrites   %s", line, again)
		}
	})
}

func FuzzRecord(f *testing.F) {
	for _, text := range hostileTexts {
		f.Add(text, "y", int64(1), int64(-1))
	}
	f.Fuzz(func(t *testing.T, a, b string, n, m int64) {
		want := full()
		want.JobID, want.Path, want.UserAgent, want.RequestID = a, b, a+b, b+a
		want.TokenIAT, want.Req.Bytes, want.FVA = n, m, []int64{n, m}
		line := audit.AppendRecord(nil, want)
		if len(line) >= audit.MaxLine {
			return
		}
		got, err := audit.Parse(line)
		if err != nil {
			t.Fatalf("Parse: %v\n%s", err, line)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v\nwant\n%+v", got, want)
		}
	})
}
