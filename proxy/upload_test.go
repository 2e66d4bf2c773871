package proxy_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

const formType = "multipart/form-data; boundary=XX"

// A filePart is a file as the trail tells of it.
type filePart struct {
	field, name, sha256 string
	size                int64
}

func file(field, name, content string) filePart {
	return filePart{field, name, sha256Hex(content), int64(len(content))}
}

// filesOf reads the files that metadata tells of.
func filesOf(o audit.Object) (files []filePart) {
	list, _ := o.Get("files")
	for _, v := range list.Values() {
		text := func(name string) string {
			m, _ := v.Object().Get(name)
			s, _ := m.Str()
			return s
		}
		m, _ := v.Object().Get("size_bytes")
		size, _ := m.Int64()
		name := text("filename")
		if twin, err := base64.StdEncoding.DecodeString(text("filename_b64")); err == nil && len(twin) > 0 {
			name = string(twin) // of a record read back
		}
		files = append(files, filePart{text("field"), name, text("sha256"), size})
	}
	return files
}

func incomplete(o audit.Object) bool { _, found := o.Get("files_incomplete"); return found }

func omitted(o audit.Object) int64 {
	v, _ := o.Get("files_omitted")
	n, _ := v.Int64()
	return n
}

// part is a part of a form, without the boundary before it.
func part(disposition, content string) string {
	return "Content-Disposition: " + disposition + "\r\n\r\n" + content + "\r\n"
}

// form joins parts; of none it makes an empty form.
func form(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--XX\r\n" + p)
	}
	return b.String() + "--XX--\r\n"
}

func TestFilesOfUploadsAreRecorded(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("data\r\n--X", 1000)
	for name, test := range map[string]struct {
		body string
		want []filePart
	}{
		"one": {
			form(part(`form-data; name="f"; filename="a.txt"`, content)),
			[]filePart{file("f", "a.txt", content)},
		},
		"empty": {form(part(`form-data; name="f"; filename=""`, "")), []filePart{file("f", "", "")}},
		"fields and files": {
			form(part(`form-data; name="a"`, "1"), part(`form-data; name="f"; filename="x"`, "one"),
				part(`form-data; name="filename"`, "2"), part(`form-data; filename="y"; name="g"`, "two")),
			[]filePart{file("f", "x", "one"), file("g", "y", "two")},
		},
		"preamble": {
			"this is\r\nignored\r\n" + form(part(`form-data; name="f"; filename="a"`, "x")) + "and this",
			[]filePart{file("f", "a", "x")},
		},
		"newlines alone": {
			"--XX\nContent-Disposition: form-data; name=f; filename=a\n\nx\ny\n--XX--\n",
			[]filePart{file("f", "a", "x\ny")},
		},
		"encoded": {
			form("Content-Transfer-Encoding: quoted-printable\r\n" +
				part(`form-data; name="f"; filename="a"`, "=41")),
			[]filePart{file("f", "a", "=41")},
		},
		"no form":        {"{}", nil},
		"other boundary": {"--YY\r\n" + part(`form-data; name="f"; filename="a"`, "x") + "--YY--\r\n", nil},
		"no parts":       {form(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			wantStatus(t, s.dial(request("POST /jobs", test.body, "Content-Type: "+formType,
				fmt.Sprintf("Content-Length: %d", len(test.body)))).reply("POST"), http.StatusOK)
			if _, body, _ := strings.Cut(rec.one(t), "\r\n\r\n"); body != test.body {
				t.Errorf("got body %q upstream, want it unchanged", body)
			}
			r := s.only(audit.Completed)
			wantBody(t, "request", r.Req, test.body, true)
			if got := filesOf(r.Metadata); !slices.Equal(got, test.want) {
				t.Errorf("got files %+v, want %+v", got, test.want)
			}
			if incomplete(r.Metadata) {
				t.Error("got files_incomplete, want it absent")
			}
		})
	}
}

func TestFilenamesAreRecordedAsSent(t *testing.T) {
	t.Parallel()
	for parameter, want := range map[string]string{ //nolint:gosec // names of files
		`filename="../../etc/passwd"`:           "../../etc/passwd",
		`filename="C:\dir\a.txt"`:               `C:\dir\a.txt`,
		`filename="a\"b.txt"`:                   `a"b.txt`,
		`filename="日本.txt"`:                     "日本.txt",
		"filename=\"a\xff.txt\"":                "a\xff.txt",
		`filename*=UTF-8''%e6%97%a5.txt`:        "日.txt",
		`FILENAME="a b; name=c"`:                "a b; name=c",
		`filename="` + "\t" + `a ` + "\t" + `"`: "\ta \t",
	} {
		body := form(part(`form-data; name="f"; `+parameter, "x"))
		s := start(t, record(t, okReply).addr, setup{})
		s.do("POST", "/jobs", strings.NewReader(body), "Content-Type: "+formType)
		got := filesOf(s.only(audit.Completed).Metadata)
		if !slices.Equal(got, []filePart{file("f", want, "x")}) {
			t.Errorf("%s: got %+v, want %q", parameter, got, want)
		}
	}
}

func TestEveryChunkingTellsOfTheSameFiles(t *testing.T) {
	t.Parallel()
	body := []byte("pre\r\n" + form(part(`form-data; name="a"`, "1"),
		part(`form-data; name="f"; filename="x.txt"`, "one\r\n--XY\r\n"),
		part(`form-data; name="g"; filename="y.txt"`, "")) + "post")
	want := []filePart{file("f", "x.txt", "one\r\n--XY\r\n"), file("g", "y.txt", "")}
	for at := range len(body) {
		got := filesOf(proxy.UploadMetadata(formType, true, body[:at], body[at:]))
		if !slices.Equal(got, want) {
			t.Errorf("cut at byte %d: got %+v, want %+v", at, got, want)
		}
	}
	bytewise := slices.Collect(slices.Chunk(body, 1))
	if got := filesOf(proxy.UploadMetadata(formType, true, bytewise...)); !slices.Equal(got, want) {
		t.Errorf("byte by byte: got %+v, want %+v", got, want)
	}
}

// Only files that were seen to their end are told of.
func TestCutUploadsTellOfWholeFilesOnly(t *testing.T) {
	t.Parallel()
	first := part(`form-data; name="f"; filename="x"`, "one")
	body := []byte(form(first, part(`form-data; name="g"; filename="y"`, "two")))
	end := len("--XX\r\n"+first) + len("--XX") // no sooner is it known to be whole
	for at := range len(body) {
		got := filesOf(proxy.UploadMetadata(formType, false, body[:at]))
		if len(got) > 0 && at < end {
			t.Errorf("cut at byte %d of %d: got %+v before its end", at, len(body), got)
		}
		for _, f := range got {
			if f != file("f", "x", "one") && f != file("g", "y", "two") {
				t.Errorf("cut at byte %d: got %+v, which was not sent", at, f)
			}
		}
	}
}

func TestManyFilesAreCounted(t *testing.T) {
	t.Parallel()
	parts := make([]string, 40)
	for i := range parts {
		parts[i] = part(fmt.Sprintf(`form-data; name="f"; filename="%d"`, i), fmt.Sprint(i))
	}
	o := proxy.UploadMetadata(formType, true, []byte(form(parts...)))
	files := filesOf(o)
	if len(files) != proxy.MaxFiles || files[31] != file("f", "31", "31") || omitted(o) != 8 || incomplete(o) {
		t.Errorf("got %d files and %d omitted, want 32 and 8", len(files), omitted(o))
	}
}

func TestPartsBeyondTheBoundAreSaidToBeMissing(t *testing.T) {
	t.Parallel()
	field := part(`form-data; name="a"`, "1")
	parts := slices.Repeat([]string{field}, 1500)
	parts[5] = part(`form-data; name="f"; filename="early"`, "x")
	parts[1400] = part(`form-data; name="f"; filename="late"`, "x")
	o := proxy.UploadMetadata(formType, true, []byte(form(parts...)))
	if got := filesOf(o); !slices.Equal(got, []filePart{file("f", "early", "x")}) || !incomplete(o) {
		t.Errorf("got files %+v, incomplete %t, want the early one and incomplete", got, incomplete(o))
	}
	if o := proxy.UploadMetadata(formType, true, []byte(form(parts[:proxy.MaxParts]...))); incomplete(o) {
		t.Errorf("got incomplete with %d parts, want it absent", proxy.MaxParts)
	}
}

func TestGiantPartHeadersEndTheReading(t *testing.T) {
	t.Parallel()
	first := part(`form-data; name="f"; filename="a"`, "x")
	for name, giant := range map[string]string{
		"one line":   "X-Giant: " + strings.Repeat("x", 1<<20) + "\r\n",
		"many lines": strings.Repeat("X-Line: x\r\n", 1<<16),
	} {
		o := proxy.UploadMetadata(formType, true, []byte(form(first, giant+first)))
		if got := filesOf(o); !slices.Equal(got, []filePart{file("f", "a", "x")}) || !incomplete(o) {
			t.Errorf("%s: got files %+v, incomplete %t, want the first and incomplete", name, got, incomplete(o))
		}
	}
}

// A file that some upstreams would see and our parser can't name is not passed
// over in silence.
func TestFilesThatCannotBeNamedAreSaidToBeMissing(t *testing.T) {
	t.Parallel()
	for _, disposition := range []string{
		`form-data; name="f"; filename="a"; filename="b"`,
		`form-data; name="f"; filename=a b.txt`,
		`form-data; name="f"; filename*=iso-8859-1''a.txt`,
		`form-data; name="f"; FileName="a`,
	} {
		o := proxy.UploadMetadata(formType, true, []byte(form(part(disposition, "x"),
			part(`form-data; name="g"; filename="y"`, "y"))))
		if got := filesOf(o); !slices.Equal(got, []filePart{file("g", "y", "y")}) || !incomplete(o) {
			t.Errorf("%s: got %+v, incomplete %t, want the other file and incomplete", disposition, got, incomplete(o))
		}
	}
}

func TestOtherContentTypesAreNotParsed(t *testing.T) {
	t.Parallel()
	body := []byte(form(part(`form-data; name="f"; filename="a"`, "x")))
	for _, contentType := range []string{
		"", "text/plain", "multipart/form-data", "multipart",
		"application/x-www-form-urlencoded; boundary=XX",
	} {
		if o := proxy.UploadMetadata(contentType, true, body); o != nil {
			t.Errorf("%q: got %+v, want nothing", contentType, o)
		}
	}
	if o := proxy.UploadMetadata(`Multipart/Mixed; Boundary="XX"`, true, body); len(filesOf(o)) != 1 {
		t.Errorf("got %+v, want the file of a multipart/mixed body", o)
	}
}

// fill is a reader of n bytes.
func fill(n int64) io.Reader { return io.LimitReader(xs{}, n) }

type xs struct{}

func (xs) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// It is not parallel: it looks at the memory of the process.
func TestLargeUploadsAreNotBuffered(t *testing.T) { //nolint:paralleltest // see above
	const size = 64 << 20
	var peak uint64
	s := start(t, httpUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		var m runtime.MemStats
		for range 8 {
			_, _ = io.CopyN(io.Discard, r.Body, size/8)
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}), setup{})
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const head = "--XX\r\nContent-Disposition: form-data; name=f; filename=big\r\n\r\n"
	body := io.MultiReader(strings.NewReader(head),
		fill(size), strings.NewReader("\r\n--XX--\r\n"))
	wantStatus(t, s.do("POST", "/", body, "Content-Type: "+formType), http.StatusOK)
	if grown := int64(peak) - int64(before.HeapAlloc); grown > 8<<20 { //nolint:gosec // far from 2^63
		t.Errorf("got %d bytes more on the heap, want fewer than 8 MiB", grown)
	}
	if got := filesOf(s.only(audit.Completed).Metadata); len(got) != 1 || got[0].size != size {
		t.Errorf("got files %+v, want one of %d bytes", got, size)
	}
}

// reference reads a whole form with mime/multipart.
func reference(body []byte, boundary string) (files []filePart, whole bool) {
	form := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		p, err := form.NextRawPart()
		if err != nil {
			return files, errors.Is(err, io.EOF)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return files, false
		}
		_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		if name, ok := params["filename"]; err == nil && ok {
			sum := sha256.Sum256(content)
			files = append(files, filePart{params["name"], name, hex.EncodeToString(sum[:]), int64(len(content))})
		}
	}
}

func FuzzUpload(f *testing.F) {
	f.Add([]byte(form(part(`form-data; name="f"; filename="a"`, "x"))), uint16(3))
	f.Add([]byte("--XX\nContent-Disposition: form-data; name=f; filename=a\n\nx\n--XX--\n"), uint16(1))
	f.Add([]byte("pre\r\n--XX \r\n"+part(`form-data; filename=a`, "\r\n--XX-\r\n")+"--XX--"), uint16(7))
	f.Add([]byte("--XX\r\n\r\n--XX--"), uint16(5000))
	f.Fuzz(func(t *testing.T, body []byte, size uint16) {
		if len(body) > 32<<10 {
			return // the bounds are not what is compared
		}
		chunks := slices.Collect(slices.Chunk(body, max(1, int(size))))
		want, whole := reference(body, "XX")
		if len(want) > proxy.MaxFiles {
			return
		}
		o := proxy.UploadMetadata(formType, true, chunks...)
		if got := filesOf(o); !slices.Equal(got, want) {
			t.Errorf("got files %+v, want %+v", got, want)
		}
		mentioned := bytes.Contains(bytes.ToLower(body), []byte("filename"))
		if whole && !mentioned && incomplete(o) {
			t.Error("got files_incomplete of a whole form without files")
		}
		_ = proxy.UploadMetadata(formType, false, chunks...) // and does not panic
	})
}
