package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// TestTLSOnBothSides runs the program with a certificate of its own before an
// upstream that asks for one: both speak HTTP/2, and a certificate that is
// replaced on disk is shown to the next client.
func TestTLSOnBothSides(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, mutual := newPairFiles(t, dir, "own"), newPairFiles(t, dir, "mutual")
	protos := make(chan string, 9)
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protos <- r.Proto
		created(w)
	}))
	up.EnableHTTP2 = true
	up.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(t, mutual.cert),
	}
	up.StartTLS()
	t.Cleanup(up.Close)
	ca := filepath.Join(dir, "ca.pem")
	writePEM(t, ca, "CERTIFICATE", up.Certificate().Raw)

	settings := trusting(clerktest.SharedKey(keyID))
	settings["TOLLBOOK_TLS_CERT_FILE"], settings["TOLLBOOK_TLS_KEY_FILE"] = own.cert, own.key
	settings["TOLLBOOK_UPSTREAM_CA_FILE"] = ca
	settings["TOLLBOOK_UPSTREAM_CERT_FILE"], settings["TOLLBOOK_UPSTREAM_KEY_FILE"] = mutual.cert, mutual.key
	trail := filepath.Join(t.TempDir(), "trail")
	binary := buildTollbook(t)
	s := startSidecar(t, binary, up.URL, trail, settings)
	url := "https://" + strings.TrimPrefix(s.url, "http://") + "/jobs"
	if proto, status := askOverTLS(t, url, own.cert); proto != "HTTP/2.0" || status != http.StatusCreated {
		t.Errorf("got %s %d, want HTTP/2.0 201", proto, status)
	}
	if proto := <-protos; proto != "HTTP/2.0" {
		t.Errorf("got %s upstream, want HTTP/2.0", proto)
	}
	expiry := s.scrape(t).values["tollbook_certificate_not_after_seconds"]
	if left := expiry - float64(time.Now().Unix()); left <= 0 || left > 2*time.Hour.Seconds() {
		t.Errorf("got a certificate that expires in %v s, want within two hours", left)
	}
	newer := newPairFiles(t, t.TempDir(), "newer")
	for from, to := range map[string]string{newer.cert: own.cert, newer.key: own.key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatalf("replacing the certificate: %v", err)
		}
	}
	// The client trusts whatever certificate is in the file now.
	eventually(t, "the new certificate is shown", func() error {
		conn, err := (&tls.Dialer{Config: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: poolOf(t, own.cert),
		}}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if _, status := askOverTLS(t, url, own.cert); status != http.StatusCreated {
		t.Errorf("got status %d with the new certificate, want 201", status)
	}
	s.terminate(t)
	verifyTrail(t, binary, trail)
}

// askOverTLS sends a good request to a server that shows this certificate.
func askOverTLS(t *testing.T, url, cert string) (proto string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	tokens := tokens{key: clerktest.SharedKey(keyID)}
	req.Header.Set("Authorization", "Bearer "+tokens.current())
	res, err := tlsClient(t, cert).Do(req)
	if err != nil {
		t.Fatalf("GET: %v", err)
	}
	defer res.Body.Close()
	return res.Proto, res.StatusCode
}

// tlsClient trusts the certificate in the file, and keeps no connection.
func tlsClient(t *testing.T, cert string) *http.Client {
	t.Helper()
	transport := &http.Transport{
		ForceAttemptHTTP2: true, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: poolOf(t, cert)},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func poolOf(t *testing.T, cert string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatalf("reading a certificate: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", cert)
	}
	return pool
}

// pairFiles are those of a certificate that vouches for itself, for 127.0.0.1.
type pairFiles struct{ cert, key string }

func newPairFiles(t *testing.T, dir, name string) pairFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("making a certificate: %v", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	files := pairFiles{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	writePEM(t, files.cert, "CERTIFICATE", cert)
	writePEM(t, files.key, "PRIVATE KEY", private)
	return files
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatalf("writing %s: %v", file, err)
	}
}
