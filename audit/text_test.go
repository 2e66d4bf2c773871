package audit_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
)

// Each byte, at each place of a word and of what is left behind the words.
func TestPlainAndPrintableBytesAreToldAtEachPlace(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		printable := c >= 0x20 && c <= 0x7e
		plain := printable && c != '"' && c != '\\'
		for at := range 20 {
			text := bytes.Repeat([]byte("~"), 20)
			text[at] = byte(c)
			for name, n := range map[string]int{
				"plain":     want(plain, audit.PlainLen(string(text)), at),
				"printable": want(printable, audit.PrintableLen(string(text)), at),
			} {
				if n >= 0 {
					t.Errorf("%#x at %d: %d bytes are %s", c, at, n, name)
				}
			}
		}
	}
}

// want returns got if it is wrong, else -1.
func want(all bool, got, at int) int {
	if all && got == 20 || !all && got == at {
		return -1
	}
	return got
}

const timeLayout = "2006-01-02T15:04:05.000000Z"

func TestTimesAreWrittenAsTheStandardLibraryDoes(t *testing.T) {
	t.Parallel()
	for _, year := range []int{-1, 0, 1, 999, 1970, 2024, 2026, 9999, 10000} {
		for _, when := range []time.Time{
			time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(year, 2, 29, 23, 59, 59, 999999999, time.UTC),
			time.Date(year, 10, 10, 10, 10, 10, 10_000_000, time.UTC),
			time.Date(year, 12, 31, 23, 30, 0, 1000, time.FixedZone("", -3600)),
		} {
			want := when.UTC().Format(timeLayout)
			if got := audit.FormatTime(when); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			got, err := audit.ParseTime(want)
			if back, wantErr := time.Parse(timeLayout, want); (err == nil) != (wantErr == nil) || got != back {
				t.Errorf("%s: got %v and error %v, want %v and %v", want, got, err, back, wantErr)
			}
		}
	}
}

func TestParseTimeTakesNothingElse(t *testing.T) {
	t.Parallel()
	const good = "2026-03-01T12:00:00.000001Z"
	if _, err := audit.ParseTime(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for c := range 256 {
			s := good[:i] + string([]byte{byte(c)}) + good[i+1:]
			_, err := audit.ParseTime(s)
			when, wantErr := time.Parse(timeLayout, s)
			if good := wantErr == nil && when.Format(timeLayout) == s; (err == nil) != good {
				t.Errorf("%q: got error %v, want good: %v", s, err, good)
			}
		}
	}
	for _, s := range []string{
		"", good + "Z", good[1:], "2026-02-29T12:00:00.000000Z", "2026-00-01T12:00:00.000000Z",
		"2026-13-01T12:00:00.000000Z", "2026-01-00T12:00:00.000000Z", "2026-01-32T12:00:00.000000Z",
		"2026-01-01T24:00:00.000000Z", "2026-01-01T12:60:00.000000Z", "2026-01-01T12:00:60.000000Z",
		"-001-01-01T12:00:00.000000Z", "2026-01-01T12:00:0:.000000Z", "2026-01-01t12:00:00.000000z",
	} {
		if _, err := audit.ParseTime(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestIntegersAreReadInOneWay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
		"0": 0, "-1": -1, "10": 10, "1000000000000000000": 1e18,
	} {
		r, err := audit.Parse([]byte(strings.Replace(goldenFull, `{"c":-1}`, `{"c":`+text+`}`, 1)))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		b, _ := r.Metadata.Get("b")
		c, _ := b.Object().Get("c")
		if got, _ := c.Int64(); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	for _, text := range []string{
		"", "-", "00", "01", "-0", "-01", "--1", "9223372036854775808", "-9223372036854775809",
		"9999999999999999999", "18446744073709551616", "18446744073709551617", "100000000000000000000",
		"00000000000000000001", strings.Repeat("1", 1000), "1a", "0x1",
	} {
		if _, err := audit.Parse([]byte(strings.Replace(goldenFull, `{"c":-1}`, `{"c":`+text+`}`, 1))); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// What was cut is told under a name that Parse takes, whatever its bytes.
func TestACutUnderANameThatIsNoUTF8IsRead(t *testing.T) {
	t.Parallel()
	r := small()
	r.Metadata = audit.Object{{Name: "a\xff", Value: audit.String(strings.Repeat("x", audit.MaxLine))}}
	line, err := audit.Line(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := audit.Parse(line)
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, line)
	}
	if len(got.Truncated) != 1 || got.Truncated[0].Field != "metadata.a\ufffd" {
		t.Errorf("got %+v, want one of metadata.a\ufffd", got.Truncated)
	}
}
