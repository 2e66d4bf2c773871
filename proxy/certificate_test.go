package proxy_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollbook/proxy"
)

// A watch is a clock that only goes when it is told to.
type watch struct{ passed atomic.Int64 }

func (w *watch) now() time.Time { return time.Now().Add(time.Duration(w.passed.Load())) }
func (w *watch) tick()          { w.passed.Add(int64(time.Second)) }

// reloads collects reports.
type reloads struct {
	mu  sync.Mutex
	all []proxy.Reload
}

func (r *reloads) add(one proxy.Reload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
}

// only returns the reports since the last call: one.
func (r *reloads) only(t testing.TB) proxy.Reload {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) != 1 {
		t.Fatalf("got %d reports %v, want 1", len(r.all), r.all)
	}
	one := r.all[0]
	r.all = nil
	return one
}

// A listener is a server behind a certificate that may change on disk.
type listener struct {
	t     testing.TB
	addr  string
	roots *x509.CertPool
	watch watch
	reloads
	cert *proxy.Certificate
}

// serveCertificate serves with what stands in the files.
func serveCertificate(t testing.TB, a *authority, files pairFolder) *listener {
	t.Helper()
	l := &listener{t: t, roots: a.pool()}
	var err error
	l.cert, err = proxy.LoadCertificate(proxy.CertificateConfig{
		CertFile: files.cert, KeyFile: files.key, OnReload: l.add, Now: l.watch.now,
	})
	if err != nil {
		t.Fatalf("LoadCertificate: %v", err)
	}
	socket := listen(t)
	l.addr = socket.Addr().String()
	server := &http.Server{
		ReadHeaderTimeout: patience, TLSConfig: l.cert.TLSConfig(),
		ErrorLog: log.New(io.Discard, "", 0),
		Handler:  http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.ServeTLS(socket, "", "") }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return l
}

// dial shakes hands, offering these protocols, a second after the last time.
func (l *listener) dial(protocols ...string) *tls.Conn {
	l.t.Helper()
	l.watch.tick()
	dialer := tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: l.roots, ServerName: "localhost", NextProtos: protocols,
	}}
	c, err := dialer.DialContext(l.t.Context(), "tcp", l.addr)
	if err != nil {
		l.t.Fatalf("dialling: %v", err)
	}
	l.t.Cleanup(func() { _ = c.Close() })
	return c.(*tls.Conn) //nolint:forcetypeassert // tls.Dialer
}

// name returns whose certificate a new connection is given.
func (l *listener) name() string { return peerName(l.dial()) }

func peerName(c *tls.Conn) string {
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// exchangeOn sends a request on the connection.
func exchangeOn(t testing.TB, c net.Conn) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatalf("asking: %v", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("reading a reply: %v", err)
	}
	_ = res.Body.Close()
}

func TestANewCertificateIsServedToTheNextHandshake(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files := newPairFolder(t, a.issue("old", nil))
	l := serveCertificate(t, a, files)
	old := l.dial()
	if got := peerName(old); got != "old" {
		t.Fatalf("got the certificate of %q, want old", got)
	}
	until := time.Now().Add(77 * time.Minute).Truncate(time.Second)
	files.write(t, a.issue("new", func(c *x509.Certificate) { c.NotAfter = until }))
	if got := l.name(); got != "new" {
		t.Errorf("got the certificate of %q, want new", got)
	}
	r := l.only(t)
	if r.Err != nil || !r.NotAfter.Equal(until) || len(r.Files) != 2 || r.Files[0] != files.cert {
		t.Errorf("got report %+v, want one of success until %v", r, until)
	}
	if got := l.cert.NotAfter(); !got.Equal(until) {
		t.Errorf("got NotAfter %v, want %v", got, until)
	}
	exchangeOn(t, old) // lives on
}

// Kubernetes mounts secrets so: the files are links through ..data, a link that
// is replaced.
func TestACertificateBehindATurnedLinkIsServed(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	root := t.TempDir()
	mount := func(p pair, version string) {
		dir := filepath.Join(root, version)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		pairFolder{dir, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}.write(t, p)
		link := filepath.Join(root, "..data")
		if err := os.Symlink(version, link+"_tmp"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+"_tmp", link); err != nil {
			t.Fatal(err)
		}
	}
	mount(a.issue("old", nil), "..1")
	files := pairFolder{root, filepath.Join(root, "tls.crt"), filepath.Join(root, "tls.key")}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	l := serveCertificate(t, a, files)
	for _, name := range []string{"new", "newest"} {
		mount(a.issue(name, nil), "..of-"+name)
		if got := l.name(); got != name {
			t.Errorf("got the certificate of %q, want %s", got, name)
		}
		if r := l.only(t); r.Err != nil {
			t.Errorf("got report %+v, want one of success", r)
		}
	}
}

func TestABrokenPairKeepsTheOldCertificateAndIsReportedOnce(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	other := a.issue("other", nil)
	for name, test := range map[string]struct {
		spoil func(pairFolder)
		want  string
	}{
		"certificate without its key": {func(f pairFolder) { write(t, f.cert, other.cert) }, "private key does not match"},
		"garbage":                     {func(f pairFolder) { write(t, f.cert, []byte("garbage")) }, "no certificate in PEM form"},
		"empty key":                   {func(f pairFolder) { write(t, f.key, nil) }, "no private key in PEM form"},
		"missing":                     {func(f pairFolder) { _ = os.Remove(f.key) }, "no such file"},
		"expired":                     {func(f pairFolder) { f.write(t, a.issue("expired", expired)) }, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := newPairFolder(t, a.issue("old", nil))
			l := serveCertificate(t, a, files)
			test.spoil(files)
			for range 3 {
				if got := l.name(); got != "old" {
					t.Errorf("got the certificate of %q, want old", got)
				}
			}
			r := l.only(t)
			if r.Err == nil || !strings.Contains(r.Err.Error(), test.want) ||
				!strings.Contains(r.Err.Error(), files.dir) || !r.NotAfter.Equal(l.cert.NotAfter()) {
				t.Errorf("got report %v, want one with %q, the file and the old time", r, test.want)
			}
			files.write(t, a.issue("good", nil))
			if got := l.name(); got != "good" {
				t.Errorf("got the certificate of %q, want good", got)
			}
			if r := l.only(t); r.Err != nil {
				t.Errorf("got report %v, want one of success", r)
			}
		})
	}
}

func TestFilesAreNotReadMoreThanOnceASecond(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files := newPairFolder(t, a.issue("old", nil))
	still := time.Now()
	cert, err := proxy.LoadCertificate(proxy.CertificateConfig{
		CertFile: files.cert, KeyFile: files.key, Now: func() time.Time { return still },
	})
	if err != nil {
		t.Fatalf("LoadCertificate: %v", err)
	}
	config := cert.TLSConfig()
	serving := func() string {
		c, err := config.GetCertificate(nil)
		if err != nil {
			t.Fatalf("GetCertificate: %v", err)
		}
		return c.Leaf.Subject.CommonName
	}
	files.write(t, a.issue("new", nil))
	if got := serving(); got != "old" {
		t.Errorf("got the certificate of %q in the same second, want old", got)
	}
	still = still.Add(time.Second)
	if got := serving(); got != "new" {
		t.Errorf("got the certificate of %q a second later, want new", got)
	}
}

func TestHandshakesAreSafeWhileTheCertificateChanges(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files := newPairFolder(t, a.issue("old", nil))
	l := serveCertificate(t, a, files)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 5 {
				l.name()
			}
		})
	}
	files.write(t, a.issue("new", nil))
	running.Wait()
	if got := l.name(); got != "new" {
		t.Errorf("got the certificate of %q, want new", got)
	}
}

func TestTheListenerSpeaksHTTP2AndNothingOld(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	l := serveCertificate(t, a, newPairFolder(t, a.issue("x", nil)))
	for offer, want := range map[string]string{"h2": "h2", "http/1.1": "http/1.1"} {
		if got := l.dial(offer).ConnectionState().NegotiatedProtocol; got != want {
			t.Errorf("offered %s: got protocol %q", offer, got)
		}
	}
	old := tls.Dialer{Config: &tls.Config{ //nolint:gosec // G402: it must be refused
		RootCAs: l.roots, ServerName: "localhost",
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	}}
	if _, err := old.DialContext(t.Context(), "tcp", l.addr); err == nil {
		t.Error("got a connection with TLS 1.1, want none")
	}
}

func TestBadCertificateFilesAreErrorsAtTheStart(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	good, other := a.issue("good", nil), a.issue("other", nil)
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})
	key, err := x509.MarshalECPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	//nolint:staticcheck // SA1019: users have such keys
	legacy, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", key, []byte("x"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	bad := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})
	for name, test := range map[string]struct {
		pair
		file, want string
	}{
		"garbage":        {pair{[]byte("x"), good.key}, "tls.crt", "no certificate in PEM form"},
		"malformed":      {pair{bad, good.key}, "tls.crt", "certificate 1: x509: malformed"},
		"swapped":        {pair{good.key, good.cert}, "tls.crt", "holds a key and no certificate"},
		"no key":         {pair{good.cert, good.cert}, "tls.key", "no private key in PEM form"},
		"other key":      {pair{good.cert, other.key}, "tls.key", "private key does not match"},
		"encrypted":      {pair{good.cert, encrypted}, "tls.key", "the key is encrypted"},
		"encrypted once": {pair{good.cert, pem.EncodeToMemory(legacy)}, "tls.key", "the key is encrypted"},
		"huge":           {pair{make([]byte, 5<<20), good.key}, "tls.crt", "it is no PEM file"},
		"expired":        {a.issue("old", expired), "tls.crt", "the certificate has expired, on 2"},
	} {
		files := newPairFolder(t, test.pair)
		_, err := proxy.LoadCertificate(proxy.CertificateConfig{CertFile: files.cert, KeyFile: files.key})
		wantFileError(t, name, err, test.file, test.want)
	}
	_, err = proxy.LoadCertificate(proxy.CertificateConfig{CertFile: "/none/tls.crt", KeyFile: "/none/tls.key"})
	wantFileError(t, "missing", err, "/none/tls.crt", "no such file")
}

func wantFileError(t *testing.T, name string, err error, file, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got error %v, want one with %s and %q", name, err, file, want)
	}
}

func TestACertificateAndItsKeyMayBeOneFile(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	p := a.issue("x", nil)
	name := filepath.Join(t.TempDir(), "both.pem")
	write(t, name, append(append([]byte{}, p.key...), p.cert...))
	if _, err := proxy.LoadCertificate(proxy.CertificateConfig{CertFile: name, KeyFile: name}); err != nil {
		t.Errorf("got error %v, want none", err)
	}
}
