package proxy

import (
	"crypto/tls"
	"fmt"
	"time"
)

// A CertificateConfig says where a certificate stands.
type CertificateConfig struct {
	// CertFile holds the chain in PEM form, leaf first; KeyFile its key, not
	// encrypted. They may be one file.
	CertFile, KeyFile string
	// OnReload is told of every change of the files, on the goroutine of a
	// handshake, which waits for it; nil means that nobody is.
	OnReload func(Reload)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Certificate is a certificate and its key, read again when their files have
// changed: certificates live shorter than servers. New files that can't be used
// (one without the other yet, say) leave the old certificate in use. It is safe
// for concurrent use.
type Certificate struct{ pair *reloaded[*tls.Certificate] }

// LoadCertificate reads the files. An error names the file and what is wrong
// with it: missing, not PEM, a key that is encrypted or of another certificate, a
// certificate that has expired.
func LoadCertificate(cfg CertificateConfig) (*Certificate, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	files := pairFiles{cfg.CertFile, cfg.KeyFile}
	names := []string{files.cert, files.key}
	pair := &reloaded[*tls.Certificate]{
		files: names, now: cfg.Now,
		parse: func(contents [][]byte) (*tls.Certificate, error) {
			return parsePair(files, contents[0], contents[1], cfg.Now())
		},
		report: reporter(cfg.OnReload, names, notAfter),
	}
	if err := pair.load(); err != nil {
		return nil, fmt.Errorf("proxy: certificate: %w", err)
	}
	return &Certificate{pair}, nil
}

func notAfter(c *tls.Certificate) time.Time { return c.Leaf.NotAfter }

// NotAfter returns when the certificate in use expires. It reads no files.
func (c *Certificate) NotAfter() time.Time { return notAfter(*c.pair.current.Load()) }

// TLSConfig returns a configuration for a listener of HTTP/1.1 and HTTP/2, for
// [http.Server.ServeTLS] without file names. Every handshake gets the newest
// certificate; connections keep theirs.
func (c *Certificate) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.pair.get(), nil
		},
	}
}

// forClient answers an upstream that asks who we are. One that would not accept
// the certificate gets it all the same, and says so.
func (c *Certificate) forClient(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return c.pair.get(), nil
}
