package audit_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"tollbook/audit"
)

// worst fills every text of r and its metadata.
func worst(phase audit.Phase, text string) *audit.Record {
	r := &audit.Record{}
	for v, i := reflect.ValueOf(r).Elem(), 0; i < v.NumField(); i++ {
		if v.Field(i).Kind() == reflect.String {
			v.Field(i).SetString(text)
		}
	}
	r.EventType, r.Phase, r.Outcome = "submit", phase, ""
	if phase == audit.Completed {
		r.Outcome, r.ReceivedSeq = audit.OK, 1
	}
	r.Req, r.Res = &audit.Body{Bytes: 1 << 62}, &audit.Body{Bytes: 1 << 62}
	r.TokenIAT, r.HTTPStatus, r.UpstreamStatus, r.DurationUS = 1<<62, 1<<62, 1<<62, 1<<62
	r.FVA = []int64{1 << 62, 1 << 62}
	files := make([]audit.Value, 32)
	for i := range files {
		files[i] = audit.Nested(audit.Object{
			{Name: "field", Value: audit.String(text)},
			{Name: "filename", Value: audit.String(text)},
			{Name: "sha256", Value: audit.String(strings.Repeat("0", 64))},
			{Name: "size_bytes", Value: audit.Int(1 << 62)},
		})
	}
	var wildcards audit.Object
	for i := range 16 {
		wildcards = append(wildcards,
			audit.Member{Name: "wildcard_" + strconv.Itoa(i), Value: audit.String(text)})
	}
	r.Metadata = audit.Object{
		{Name: "fields", Value: audit.Nested(wildcards)},
		{Name: "files", Value: audit.List(files...)},
		{Name: "files_omitted", Value: audit.Int(5)},
		{Name: "list", Value: audit.List(audit.String(text), audit.String(text))},
		{Name: "token_exp_literal", Value: audit.String(text)},
	}
	return r
}

func TestTheWorstRecordFitsItsLine(t *testing.T) {
	t.Parallel()
	for name, char := range map[string]string{
		"NUL": "\x00", "invalid": "\xff", "quote": `"`, "plain": "x", "astral": "😀",
		"valid then invalid": strings.Repeat("x", 200) + "\xff",
	} {
		for size, phases := range map[int][]audit.Phase{
			200:       {audit.Received, audit.Completed, audit.Refused},
			1000:      {audit.Received, audit.Completed, audit.Refused},
			100 << 10: {audit.Completed},
		} {
			if size > 1000 && name != "NUL" {
				continue // slow, and no longer on the line
			}
			text := strings.Repeat(char, size/len(char)+1)
			for _, phase := range phases {
				line, err := audit.Line(worst(phase, text))
				if err != nil {
					t.Errorf("%s x %d, %s: %v", name, size, phase, err)
					continue
				}
				if len(line)+1 > audit.MaxLine {
					t.Errorf("%s x %d, %s: a line of %d bytes", name, size, phase, len(line)+1)
				}
				if _, err := audit.Parse(line); err != nil {
					t.Errorf("%s x %d, %s: Parse: %v", name, size, phase, err)
				}
			}
		}
	}
}

func parsedLine(t *testing.T, r *audit.Record) *audit.Record {
	t.Helper()
	line, err := audit.Line(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := audit.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsCutIsToldWithItsLengthAndHash(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("é\xff", 1<<10)
	got := parsedLine(t, worst(audit.Received, text))
	cuts := make(map[string]audit.Cut)
	for _, c := range got.Truncated {
		if _, twice := cuts[c.Field]; twice {
			t.Errorf("%s is told twice", c.Field)
		}
		cuts[c.Field] = c
	}
	for _, field := range []string{
		"job_id", "http_path", "http_query", "user_agent", "change_reason", "request_id",
		"metadata.fields.wildcard_15", "metadata.list[1]", "metadata.token_exp_literal",
		"metadata.files[0].filename",
	} {
		want := audit.Cut{Field: field, Bytes: int64(len(text)), SHA256: audit.HashLine([]byte(text))}
		if cuts[field] != want {
			t.Errorf("got %+v, want %+v", cuts[field], want)
		}
	}
	if got.Path == "" || !strings.HasPrefix(text, got.Path) {
		t.Errorf("got a path of %d bytes that is not the start of what was sent", len(got.Path))
	}
}

func TestFilesThatDoNotFitAreCounted(t *testing.T) {
	t.Parallel()
	got := parsedLine(t, worst(audit.Received, strings.Repeat("\x00", 1<<10)))
	files, _ := got.Metadata.Get("files")
	omitted, _ := got.Metadata.Get("files_omitted")
	n, _ := omitted.Int64()
	if kept := int64(len(files.Values())); kept == 0 || kept+n != 32+5 {
		t.Errorf("got %d files kept and %d omitted, want 37 in all", kept, n)
	}
}

func TestAListThatIsTooLongIsCutAndTheRestCounted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kids, size int }{{64, 300}, {64, 1 << 10}, {1000, 64}} {
		kids := func(of string) audit.Value {
			list := make([]audit.Value, c.kids)
			for i := range list {
				list[i] = audit.String(of + strconv.Itoa(i) + strings.Repeat("k", c.size))
			}
			return audit.List(list...)
		}
		r := &audit.Record{
			EventType: audit.EventSystem, Phase: audit.System, Reason: "keys_changed",
			Metadata: audit.Object{
				{Name: "added", Value: kids("a")},
				{Name: "added_omitted", Value: audit.Int(3)},
				{Name: "removed", Value: kids("r")},
			},
		}
		got := parsedLine(t, r)
		for name, before := range map[string]int64{"added": 3, "removed": 0} {
			list, _ := got.Metadata.Get(name)
			omitted, _ := got.Metadata.Get(name + "_omitted")
			n, _ := omitted.Int64()
			kept := int64(len(list.Values()))
			if kept == 0 || kept+n != int64(c.kids)+before {
				t.Errorf("%d of %d bytes: got %d %s and %d omitted, want %d in all",
					c.kids, c.size, kept, name, n, int64(c.kids)+before)
			}
		}
	}
}

func TestARecordThatFitsIsNotCut(t *testing.T) {
	t.Parallel()
	r := request("r1")
	r.Phase, r.UserAgent = audit.Received, strings.Repeat("x", 20<<10)
	if got := parsedLine(t, r); got.Truncated != nil || len(got.UserAgent) != 20<<10 {
		t.Errorf("got %d bytes and %v, want the whole", len(got.UserAgent), got.Truncated)
	}
}

func TestTextIsNotCutWithinACharacter(t *testing.T) {
	t.Parallel()
	for shift := range 12 {
		r := request("r1")
		r.Phase, r.UserAgent = audit.Received, strings.Repeat("x", shift)+strings.Repeat("😀", 20<<10)
		if got := parsedLine(t, r); strings.ToValidUTF8(got.UserAgent, "") != got.UserAgent {
			t.Errorf("shift %d: the kept text is no UTF-8", shift)
		}
	}
}

func TestTheCompletedRecordRepeatsWhatWasCutOfTheReceived(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := start(t, dir)
	r := request("r1")
	r.Path, r.UserAgent = strings.Repeat("/a", 20<<10), strings.Repeat("b", 20<<10)
	x, err := tr.Begin(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	tr.end(x)
	tr.stop()
	completed := where(records(t, dir), phase(audit.Completed))[0]
	want := []audit.Cut{{Field: "http_path", Bytes: 40 << 10, SHA256: audit.HashLine([]byte(r.Path))}}
	if !reflect.DeepEqual(completed.Truncated, want) {
		t.Errorf("got %v, want %v", completed.Truncated, want)
	}
}
