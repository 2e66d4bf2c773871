package proxy_test

import (
	"slices"
	"testing"

	"tollbook/proxy"
)

// What one reader takes for the end of a file and another for its content must
// not be told of as if everybody agreed.
func TestPartsThatReadersDisagreeOnAreMarked(t *testing.T) {
	t.Parallel()
	const head = "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\n\r\n"
	for name, body := range map[string]string{
		"space behind a delimiter": head + "benign\r\n--XX \r\nA: b\r\n\r\nevil\r\n--XX--",
		"tab behind a delimiter":   head + "benign\r\n--XX\t\r\nA: b\r\n\r\nevil\r\n--XX--\r\n",
		"line feed behind it":      head + "benign\r\n--XX\nA: b\r\n\r\nevil\r\n--XX--\r\n",
		"line feed before it":      head + "benign\n--XX\r\nA: b\r\n\r\nevil\r\n--XX--\r\n",
		"a dash too few":           head + "benign\r\n--XX-\r\nA: b\r\n\r\nevil\r\n--XX--\r\n",
		"space behind the first":   "--XX " + head[len("--XX"):] + "benign\r\n--XX--\r\n",
	} {
		for size := 1; size <= len(body); size++ {
			var chunks [][]byte
			for chunk := range slices.Chunk([]byte(body), size) {
				chunks = append(chunks, chunk)
			}
			o := proxy.UploadMetadata(formType, true, chunks...)
			if _, ambiguous := o.Get("files_ambiguous"); !ambiguous {
				t.Errorf("%s, chunks of %d: got %+v, want files_ambiguous", name, size, o)
			}
		}
	}
}

func TestDelimitersInsideLinesAreContent(t *testing.T) {
	t.Parallel()
	content := "a --XX b\r\nc--XX--\r\n --XX\r\n--XXY\r\n--X X"
	body := form(part(`form-data; name="f"; filename="a"`, content))
	for size := 1; size <= len(body); size++ {
		var chunks [][]byte
		for chunk := range slices.Chunk([]byte(body), size) {
			chunks = append(chunks, chunk)
		}
		o := proxy.UploadMetadata(formType, true, chunks...)
		if files := filesOf(o); !slices.Equal(files, []filePart{file("f", "a", content)}) || len(o) != 1 {
			t.Errorf("chunks of %d: got %+v, want the file and nothing else", size, o)
		}
	}
}

func TestTypesThatOthersMayReadAreSaidToBeUntold(t *testing.T) {
	t.Parallel()
	body := form(part(`form-data; name="f"; filename="a"`, "x"))
	for _, contentType := range []string{
		"multipart/form-data; charset; boundary=XX", "Multipart/Form-Data; boundary=XX; a b=c",
		"multipart/form-data; boundary=XX, text/plain", "multipart/form-data; boundary=",
		"multipart/form-data; boundary=XX; boundary=YY",
	} {
		o := proxy.UploadMetadata(contentType, true, []byte(body))
		if files := filesOf(o); len(files) > 0 || !incomplete(o) {
			t.Errorf("%s: got files %+v, incomplete %t, want none told", contentType, files, incomplete(o))
		}
	}
	twice := form(part("form-data; name=\"f\"; filename=\"a\"\r\nContent-Disposition: form-data; name=\"g\"; filename=\"b\"", "x"))
	if o := proxy.UploadMetadata(formType, true, []byte(twice)); len(filesOf(o)) > 0 || !incomplete(o) {
		t.Errorf("two dispositions: got %+v, want none told", o)
	}
}
