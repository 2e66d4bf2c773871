package clerk_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"tollbook/proxy/clerk"
)

func TestScannerTakesOnlyStrictObjects(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":-0,"b":0.5,"c":1e5,"d":1E-5,"e":1e+5,"f":10}`,
		`{"a":[],"b":[1,[2],{}],"c":true,"d":false,"e":null}`, `{"":1}`, `{"a":1,"A":2}`,
		`{"\"\\\/\b\f\n\r\t\u00e9":"\ud83d\ude00"}`, "{\"\u2028\":\"\x7f\"}",
		`{"\ud800":1,"\ud801":2,"\udc00":3}`,
	} {
		if _, err := clerk.ScanObject([]byte(good)); err != nil {
			t.Errorf("%s: got %v, want it accepted", good, err)
		}
	}
	for _, bad := range []string{
		``, ` `, `[]`, `1`, `null`, `"a"`, `{`, `}`, `{}}`, `{}x`, `{"a"}`, `{"a":}`, `{a:1}`,
		`{'a':1}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{"a":[1,]}`, `{"a":[,]}`, `{"a":[}`, `{"a":01}`,
		`{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1e}`, `{"a":-}`, `{"a":0x1}`, `{"a":NaN}`,
		`{"a":Infinity}`, `{"a":tru}`, `{"a":True}`, `{"a":nul}`, `{"a":"` + "\n" + `"}`,
		`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\`, `{"a":"`, `{"a":1/**/}`,
		"{\"a\":\"\x00\"}", "{\x00}", "\ufeff{}", "{\"a\":\u00a01}", "{\"a\":\"\xc3\"}",
		`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `{"x":{"a":1,"a":1}}`, `{"x":[{"a":1,"a":1}]}`,
		`{"\ud800":1,"\uD800":2}`,
	} {
		if names, err := clerk.ScanObject([]byte(bad)); err == nil {
			t.Errorf("%q: got %q, want it refused", bad, names)
		}
	}
}

func TestDuplicatesAreFoundInLargeObjects(t *testing.T) {
	t.Parallel()
	for _, size := range []int{15, 16, 17, 18, 2000} {
		members := make([]string, size)
		for i := range members {
			members[i] = `"` + strconv.Itoa(i) + `":0`
		}
		if _, err := clerk.ScanObject([]byte("{" + strings.Join(members, ",") + "}")); err != nil {
			t.Errorf("%d names: got %v, want them accepted", size, err)
		}
		for _, again := range []int{0, size / 2, size - 1} {
			twice := append(slices.Clone(members), members[again])
			if _, err := clerk.ScanObject([]byte("{" + strings.Join(twice, ",") + "}")); err == nil {
				t.Errorf("%d names and number %d again: want it refused", size, again)
			}
		}
	}
}

func TestEscapesLoseNothing(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`plain`: "plain", `\u0041\n\t\r\b\f\/\\\"`: "A\n\t\r\b\f/\\\"", `\u00e9`: "é", `\u20ac`: "€",
		`\ud83d\ude00`: "😀", `\ud800`: "\xed\xa0\x80", `\udfff`: "\xed\xbf\xbf",
		`\ud800x`: "\xed\xa0\x80x", `\ude00\ud83d`: "\xed\xb8\x80\xed\xa0\xbd",
		`\ud800\ud83d\ude00`: "\xed\xa0\x80😀", `\ud800\n`: "\xed\xa0\x80\n", `\ufffd`: "\ufffd",
	} {
		got, err := clerk.ScanString([]byte(`{"a":"` + in + `"}`))
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", in, got, err, want)
		}
	}
}

// FuzzScanObject holds the scanner to encoding/json: it takes nothing that is not
// JSON, and reads names and strings as encoding/json does.
func FuzzScanObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1}`, `{"a":{"b":[1,2,{"c":null}]}}`, `{"\ud83d\ude00":"\ud800"}`,
		`{"a":1e5,"b":-0.1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := clerk.ScanObject(data)
		if err != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q: accepted, but is not JSON", data)
		}
		var standard map[string]json.RawMessage
		if err := json.Unmarshal(data, &standard); err != nil {
			t.Fatalf("%q: accepted, but encoding/json says %v", data, err)
		}
		for _, name := range names {
			if _, ok := standard[name]; !ok && utf8.ValidString(name) {
				t.Fatalf("%q: got a name %q that encoding/json does not see", data, name)
			}
		}
	})
}
