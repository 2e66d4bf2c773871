package clerk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	// fetchTimeout bounds a fetch from the dial to the last byte.
	fetchTimeout = 5 * time.Second
	// maxKeySet bounds the text of a key set in bytes.
	maxKeySet = 1 << 20
	// maxRedirects is more than a key set's address needs.
	maxRedirects = 3
)

// wrongSourceError is what no retry mends: the source answers, and has no keys. At
// start it means the configuration is wrong.
type wrongSourceError struct{ error }

func (e *wrongSourceError) Unwrap() error { return e.error }

func isWrongSource(err error) bool {
	_, wrong := errors.AsType[*wrongSourceError](err)
	return wrong
}

// fetcher reads a key set from where the configuration says.
type fetcher struct {
	client *http.Client
	url    string
	file   string
}

func newFetcher(cfg KeyConfig) *fetcher {
	client := *cfg.Client
	client.CheckRedirect = sameHostOnly
	return &fetcher{client: &client, url: cfg.URL, file: cfg.File}
}

// newClient returns the client for a Config without one. It has a transport of
// its own, so that nothing else in the process can change where keys come from.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		TLSHandshakeTimeout: fetchTimeout,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        1,
		IdleConnTimeout:     fetchTimeout,
	}}
}

// sameHostOnly refuses to be sent to another host for keys, or off TLS.
func sameHostOnly(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return errors.New("redirected to another host, which is not followed")
	}
	if len(via) > maxRedirects {
		return errors.New("redirected too often")
	}
	return nil
}

// fetch returns the key set, within fetchTimeout. Errors name the URL or file; a
// wrongSourceError says that trying again is no use, and what is.
func (f *fetcher) fetch(ctx context.Context) (*keySet, error) {
	if f.file != "" {
		return f.fromFile()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout,
		fmt.Errorf("no complete answer within %s", fetchTimeout))
	defer cancel()
	set, err := f.fromURL(ctx)
	if err == nil {
		return set, nil
	}
	if isWrongSource(err) {
		return nil, &wrongSourceError{fmt.Errorf(
			"fetching keys from %q: %w; check the issuer, or the key set's URL", f.printableURL(), err)}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return nil, fmt.Errorf("fetching keys from %q: %w", f.printableURL(), err)
}

func (f *fetcher) fromURL(ctx context.Context) (*keySet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "tollbook")
	res, err := f.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, &wrongSourceError{fmt.Errorf("status %d: there is no key set", res.StatusCode)}
	default:
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return parseSource(data)
}

// withoutURL takes off what http.Client puts before an error: the whole URL.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// printableURL returns the URL without a query, which may hold a secret.
func (f *fetcher) printableURL() string {
	address, _, _ := strings.Cut(f.url, "?")
	return address
}

func (f *fetcher) fromFile() (*keySet, error) {
	set, err := readKeyFile(f.file)
	if err != nil {
		return nil, &wrongSourceError{fmt.Errorf("reading keys from %q: %w; "+
			"want a readable file with a JSON Web Key Set", f.file, err)}
	}
	return set, nil
}

func readKeyFile(path string) (*keySet, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxKeySet+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	return parseSource(data)
}

func withoutPath(err error) error {
	if wrapped, ok := errors.AsType[*os.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

// parseSource reads what a source holds, if it is not too much.
func parseSource(data []byte) (*keySet, error) {
	if len(data) > maxKeySet {
		return nil, &wrongSourceError{fmt.Errorf("more than %d bytes", maxKeySet)}
	}
	set, err := parseKeySet(data)
	if err != nil {
		return nil, &wrongSourceError{err}
	}
	return set, nil
}
