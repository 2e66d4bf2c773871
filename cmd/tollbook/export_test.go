package main

import (
	"context"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"tollbook/audit"
)

func TestAuditExportAsJSONLinesIsWhatIsOnDisk(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	all := onDisk(t, dir)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, all},
		{[]string{"--format", "jsonl"}, all},
		{[]string{"--user", "user_1", "--phase", "received"}, linesWith(all, `"user_id":"user_1"`, `"received"`)},
		{[]string{"--user", "nobody"}, ""},
	} {
		stdout, stderr, code := call(t, nil, append([]string{"audit", "export", dir}, c.args...)...)
		if code != exitOK || stdout != c.want || !strings.HasPrefix(stderr, "records exported: ") {
			t.Errorf("%v: got exit code %d, %q and\n%s", c.args, code, stderr, stdout)
		}
		path := filepath.Join(t.TempDir(), "out")
		stdout, _, code = call(t, nil, append([]string{"audit", "export", dir, "--output", path}, c.args...)...)
		data, err := os.ReadFile(path)
		if code != exitOK || stdout != "" || err != nil || string(data) != c.want {
			t.Errorf("%v to a file: got exit code %d, %q, %v and\n%s", c.args, code, stdout, err, data)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
		}
		alone(t, path)
	}
}

// alone fails the test unless the folder of path holds nothing else, or nothing
// if path is "".
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

// table reads an exported table and returns the header and the rows.
func table(t *testing.T, text string) (header []string, rows []map[string]string) {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range all[1:] {
		row := make(map[string]string)
		for i, value := range line {
			row[all[0][i]] = value
		}
		rows = append(rows, row)
	}
	return all[0], rows
}

func TestAuditExportAsCSVIsATableOfTheFields(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	stdout, _, code := call(t, nil, "audit", "export", dir, "--format", "csv")
	if code != exitOK || !utf8.ValidString(stdout) {
		t.Errorf("got exit code %d and UTF-8: %v", code, utf8.ValidString(stdout))
	}
	lines := strings.Count(onDisk(t, dir), "\n")
	if ends := strings.Count(stdout, "\r\n"); ends != lines+1 || strings.Count(stdout, "\n") != ends {
		t.Errorf("got %d lines that end with CRLF, want %d and no other", ends, lines+1)
	}
	header, rows := table(t, stdout)
	var want []string
	for _, c := range audit.Columns() {
		want = append(want, c.Name)
	}
	if !slices.Equal(header, want) {
		t.Errorf("got the header %q, want %q", header, want)
	}
	row := rows[3]
	for name, want := range map[string]string{
		"seq": "4", "user_id": "user_1", "http_status": "200", "timestamp": "2026-03-01T12:00:00.000000Z",
		"user_email": "", "alcoa_original": "true", "metadata": "{}", "phase": "completed",
	} {
		if row[name] != want {
			t.Errorf("%s: got %q, want %q", name, row[name], want)
		}
	}
	if !strings.HasPrefix(rows[0]["metadata"], `{"file_before":null,`) {
		t.Errorf("metadata: got %q, want its JSON", rows[0]["metadata"])
	}
	if got, want := rows[len(rows)-2]["user_id"], `\u001b[2J\u000d\u000a\u202e`+"\ufffd"+`\u009b alice 200`; got != want {
		t.Errorf("hostile text: got %q, want %q", got, want)
	}
	if got := rows[len(rows)-2]["job_id"]; got != "'-" {
		t.Errorf("a job called -: got %q, want '-", got)
	}
}

func TestACellIsNoFormula(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "plain": "plain", "a=b": "a=b", "'=1": "'=1", "Grüße 😀": "Grüße 😀", `a"b,c\d`: `a"b,c\d`,
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "＝1": "'＝1",
		"\t=1": `'\u0009=1`, "\r=1": `'\u000d=1`, "\n=1": `'\u000a=1`, "\x00=1": `'\u0000=1`,
		"\x1b[2J": `\u001b[2J`, "\u202e": `\u202e`, "\xff": "\ufffd", "\U000e0001": `\udb40\udc01`,
	} {
		if got := cell(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestNumbersInATableArePlain(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	w, err := newTableWriter(&out, true)
	if err != nil {
		t.Fatal(err)
	}
	r := &audit.Record{TokenIAT: -5, FVA: []int64{-1}, Unknown: []audit.RawField{{Name: "new", JSON: "1"}}}
	if err := w.write(audit.Hit{Log: "=pod", Record: r}); err != nil {
		t.Fatal(err)
	}
	note, err := w.close()
	if err != nil || !strings.Contains(note, "1 of them") {
		t.Errorf("got %q, %v, want a note on the field that has no column", note, err)
	}
	header, rows := table(t, out.String())
	if header[0] != "log" || rows[0]["log"] != "'=pod" || rows[0]["token_iat"] != "-5" || rows[0]["fva"] != "[-1]" {
		t.Errorf("got %q and %q", header, rows)
	}
}

func TestAuditExportOfAFolderOfLogsNamesTheLogFirst(t *testing.T) {
	t.Parallel()
	dir := twoLogs(t)
	stdout, _, code := call(t, nil, "audit", "export", dir, "--format", "csv", "--phase", "completed")
	header, rows := table(t, stdout)
	if code != exitOK || header[0] != "log" || len(rows) != 2 || rows[0]["log"] != "api-0" || rows[1]["log"] != "api-1" {
		t.Errorf("got exit code %d and\n%s", code, stdout)
	}
}

func TestAnExportThatBreaksLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"jsonl", "csv"} {
		dir := twoDays(t)
		path := filepath.Join(t.TempDir(), "out")
		damage(t, dir)
		_, stderr, code := call(t, nil, "audit", "export", dir, "--output", path, "--format", format)
		if code != exitNo || !strings.Contains(stderr, "line 3 ") || strings.Contains(stderr, "records exported") {
			t.Errorf("%s: got exit code %d and %q, want 1 and the place", format, code, stderr)
		}
		alone(t, filepath.Join(filepath.Dir(path), "nothing"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	path := filepath.Join(t.TempDir(), "out")
	err := writeNewFile(path, func(w io.Writer) error {
		cancel()
		_, _ = io.WriteString(w, "a part")
		return ctx.Err()
	})
	if exitCode(err) != exitNo {
		t.Errorf("stopped: got %v, want exit code 1", err)
	}
	alone(t, filepath.Join(filepath.Dir(path), "nothing"))
}

func TestAnExportOverwritesNothingAndStaysOutOfTheTrail(t *testing.T) {
	t.Parallel()
	dir := twoDays(t)
	there := filepath.Join(t.TempDir(), "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(filepath.Dir(there), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	logs := twoLogs(t)
	for _, c := range []struct {
		dir, path string
		code      int
		word      string
	}{
		{dir, there, exitUsage, "is there already"},
		{dir, link, exitUsage, "is there already"},
		{dir, filepath.Join(dir, "audit_20991231.jsonl"), exitUsage, "trail's folder"},
		{logs, filepath.Join(logs, "api-1", "out"), exitUsage, "trail's folder"},
		{logs, filepath.Join(logs, "out"), exitUsage, "trail's folder"},
		{dir, filepath.Join(dir, "..", "gone", "out"), exitNo, "gone"},
	} {
		_, stderr, code := call(t, nil, "audit", "export", c.dir, "--output", c.path)
		if code != c.code || !strings.Contains(stderr, c.word) {
			t.Errorf("%s: got exit code %d and %q, want %d and %q", c.path, code, stderr, c.code, c.word)
		}
	}
	if data, err := os.ReadFile(there); err != nil || string(data) != "mine" {
		t.Errorf("got %q, %v, want the file as it was", data, err)
	}
	if _, err := audit.Verify(t.Context(), dir, audit.VerifyConfig{}); err != nil {
		t.Errorf("the trail: %v", err)
	}
}

func TestAFileThatAppearsMeanwhileIsNotOverwritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out")
	err := writeNewFile(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, "ours"); err != nil {
			return err
		}
		return os.WriteFile(path, []byte("theirs"), 0o600)
	})
	if exitCode(err) != exitUsage || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got %v, want that it is there", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "theirs" {
		t.Errorf("got %q, %v, want the other's file", data, err)
	}
	alone(t, path)
}

func TestAnUnknownFormatIsWrongUsage(t *testing.T) {
	t.Parallel()
	_, stderr, code := call(t, nil, "audit", "export", twoDays(t), "--format", "xml")
	if code != exitUsage || !strings.Contains(stderr, "jsonl") || !strings.Contains(stderr, "csv") {
		t.Errorf("got exit code %d and %q, want 2 and the choices", code, stderr)
	}
}
