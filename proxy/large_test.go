package proxy_test

import (
	"io"
	"net/http"
	"runtime"
	"testing"

	"tollbook/audit"
)

// A sampler passes what it reads on and looks at the heap every few megabytes.
type sampler struct {
	io.Reader
	since int64
	most  uint64
}

func (m *sampler) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if m.since += int64(n); m.since > 8<<20 {
		m.since = 0
		m.most = max(m.most, heap())
	}
	return n, err
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// It is not parallel: it looks at the memory of the process.
func TestLargeBodiesAreNotBufferedEitherWay(t *testing.T) { //nolint:paralleltest // see above
	const size, most = 64 << 20, 16 << 20
	for _, d := range []dialect{dialects[0], dialects[2]} {
		for name, serve := range map[string]func(testing.TB, http.HandlerFunc) string{
			"http": upstreams["http"], "h2c": upstreams["h2c"],
		} {
			t.Run(d.name+" to "+name, func(t *testing.T) { //nolint:paralleltest // see above
				up := &sampler{}
				s := start(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
					up.Reader = r.Body
					_, _ = io.Copy(io.Discard, up)
					_, _ = io.Copy(w, fill(size))
				}), d.setup(t, setup{}))
				before := heap()
				r := d.request(s, "POST", "/")
				r.Body, r.ContentLength = io.NopCloser(fill(size)), -1
				res, err := d.client(s).Do(r)
				if err != nil {
					t.Fatalf("POST: %v", err)
				}
				down := &sampler{Reader: res.Body}
				n, err := io.Copy(io.Discard, down)
				_ = res.Body.Close()
				if n != size || err != nil {
					t.Errorf("got %d bytes and error %v, want %d", n, err, size)
				}
				if peak := max(up.most, down.most); peak > before+most {
					t.Errorf("got %d bytes more on the heap, want %d at most", peak-before, most)
				}
				if r := s.only(audit.Completed); r.Req.Bytes != size || r.Res.Bytes != size {
					t.Errorf("got %+v and %+v, want %d bytes each", r.Req, r.Res, size)
				}
			})
		}
	}
}
