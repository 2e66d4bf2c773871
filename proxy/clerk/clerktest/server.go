package clerktest

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
)

// jwksPath is where Clerk's frontend API serves its key set.
const jwksPath = "/.well-known/jwks.json"

// hugeSize is the length of the answer of FaultHuge in bytes.
const hugeSize = 2 << 20

// Server is an instance on a loopback address: the frontend API, which is an issuer
// with a key set, and the part of the Backend API that mints tokens. It is safe for
// concurrent use. Whoever starts it closes it.
type Server struct {
	http    *httptest.Server
	api     *backend
	closing chan struct{}
	once    sync.Once
	fetches atomic.Int64

	mu    sync.Mutex
	keys  []map[string]any
	fault Fault
}

// NewServer starts a server whose key set holds keys.
func NewServer(keys ...*Key) *Server {
	s := &Server{closing: make(chan struct{})}
	s.api = &backend{
		server: s, secret: "sk_test_" + rand.Text(), sessions: make(map[string]string),
	}
	s.SetKeys(keys...)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+jwksPath, s.serveKeys)
	s.api.register(mux)
	s.http = httptest.NewServer(mux)
	return s
}

// URL returns the server's base URL, http://127.0.0.1:port.
func (s *Server) URL() string { return s.http.URL }

// Issuer returns what iss must be, which is the base URL.
func (s *Server) Issuer() string { return s.http.URL }

// JWKSURL returns the URL of the key set.
func (s *Server) JWKSURL() string { return s.http.URL + jwksPath }

// SetKeys replaces the key set; no keys make it empty. The Backend API signs with
// the first key.
func (s *Server) SetKeys(keys ...*Key) {
	s.api.sign(keys)
	entries := make([]map[string]any, len(keys))
	for i, k := range keys {
		entries[i] = k.JWK()
	}
	s.SetEntries(entries...)
}

// SetEntries replaces the key set by entries of any form. They must not be changed
// afterwards.
func (s *Server) SetEntries(entries ...map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append([]map[string]any{}, entries...)
}

// SetFault makes the key set fail in this way until the next call; nil mends it.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Fetches returns how often the key set was asked for, faults included.
func (s *Server) Fetches() int { return int(s.fetches.Load()) }

// Close stops the server, and lets go the requests that hang.
func (s *Server) Close() {
	s.once.Do(func() { close(s.closing) })
	s.http.Close()
}

func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request) {
	s.fetches.Add(1)
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil && fault(w, r, s.closing) {
		return
	}
	s.mu.Lock()
	keys := s.keys
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	reply(w, marshal(map[string]any{"keys": keys}))
}

// Fault answers in place of the key set and returns true, or returns false for the
// key set to be served after all. It must return when closing is closed.
type Fault func(w http.ResponseWriter, r *http.Request, closing <-chan struct{}) bool

// FaultStatus answers with a status and an error in Clerk's form.
func FaultStatus(status int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		reply(w, `{"errors":[{"message":"stand-in fault","code":"fault"}]}`)
		return true
	}
}

// FaultBody answers 200 with these bytes.
func FaultBody(body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) bool {
		reply(w, body)
		return true
	}
}

// FaultHTML answers 200 with a web page, as a captive portal does.
func FaultHTML() Fault { return FaultBody("<!doctype html><title>Sign in</title>") }

// FaultEmpty answers 200 with nothing.
func FaultEmpty() Fault { return FaultBody("") }

// FaultHuge answers 200 with well-formed JSON of 2 MiB.
func FaultHuge() Fault {
	return FaultBody(`{"keys":[],"pad":"` + strings.Repeat("x", hugeSize) + `"}`)
}

// FaultHang answers nothing until the client gives up or the server closes.
func FaultHang() Fault { return FaultGate(nil) }

// FaultGate holds every request until a value comes through gate or it is closed,
// and then serves the key set.
func FaultGate(gate <-chan struct{}) Fault {
	return func(_ http.ResponseWriter, r *http.Request, closing <-chan struct{}) bool {
		select {
		case <-gate:
			return false
		case <-r.Context().Done():
		case <-closing:
		}
		return true
	}
}

// FaultRedirect answers 302 to a URL.
func FaultRedirect(url string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) bool {
		http.Redirect(w, r, url, http.StatusFound)
		return true
	}
}

// reply writes body; a client that has left does not matter.
func reply(w io.Writer, body string) {
	_, _ = io.WriteString(w, body)
}
