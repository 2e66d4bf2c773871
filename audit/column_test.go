package audit_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"tollbook/audit"
)

// A foreign reader of the line agrees with what stands in the columns.
func TestColumnsAreTheFieldsOfTheLineInTheirOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	manyKinds(t, dir)
	columns := audit.Columns()
	for _, line := range linesOf(t, dir) {
		r, err := audit.Parse([]byte(strings.TrimSuffix(line, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		var raw map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &raw); err != nil {
			t.Fatal(err)
		}
		last := -1
		for _, c := range columns {
			want := string(raw[c.Name])
			if at := strings.Index(line, `"`+c.Name+`":`); at >= 0 && at < last {
				t.Errorf("the column %s does not stand in the order of the line", c.Name)
			} else if at >= 0 {
				last = at
			}
			if want == "null" {
				want = ""
			} else if strings.HasPrefix(want, `"`) {
				if err := json.Unmarshal(raw[c.Name], &want); err != nil {
					t.Fatal(err)
				}
			}
			got := string(bytes.ToValidUTF8([]byte(c.Of(r)), []byte("\ufffd")))
			if got != want {
				t.Errorf("seq %d, %s: got %q, want %q", r.Seq, c.Name, got, want)
			}
			delete(raw, c.Name)
			delete(raw, c.Name+"_b64")
		}
		if len(raw) > 0 {
			t.Errorf("seq %d: fields without a column: %v", r.Seq, raw)
		}
	}
}

func TestColumnsKeepTheBytesOfATextAndKnowWhatIsOne(t *testing.T) {
	t.Parallel()
	r := &audit.Record{UserID: "a\xffb\x1b", TokenIAT: -5, FVA: []int64{-1}}
	want := map[string]string{
		"user_id": "a\xffb\x1b", "token_iat": "-5", "fva": "[-1]", "metadata": "{}", "job_id": "",
		"http_status": "", "alcoa_original": "true", "v": "1", "prev_hash": strings.Repeat("0", 64),
	}
	texts := "user_id job_id"
	for _, c := range audit.Columns() {
		if value, listed := want[c.Name]; listed {
			if got := c.Of(r); got != value {
				t.Errorf("%s: got %q, want %q", c.Name, got, value)
			}
			if isText := strings.Contains(texts, c.Name); c.Text != isText {
				t.Errorf("%s: got Text %v, want %v", c.Name, c.Text, isText)
			}
			delete(want, c.Name)
		}
	}
	if len(want) > 0 {
		t.Errorf("no columns: %v", want)
	}
}
