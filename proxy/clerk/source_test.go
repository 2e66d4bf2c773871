package clerk_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

// serve starts a stand-in Clerk with these keys.
func serve(t testing.TB, keys ...*clerktest.Key) *clerktest.Server {
	t.Helper()
	s := clerktest.NewServer(keys...)
	t.Cleanup(s.Close)
	return s
}

// fromServer is the configuration whose keys come from s.
func fromServer(s *clerktest.Server, now *clock) clerk.Config {
	return clerk.Config{Issuer: s.Issuer(), Now: now.now}
}

// tokenOf is a good token of an issuer, signed by k.
func tokenOf(iss string, k *clerktest.Key) string {
	return k.Sign(clerktest.SessionClaims(iss, user, noon))
}

// events collects what OnKeys is told.
type events struct {
	mu   sync.Mutex
	all  []clerk.KeysEvent
	more chan struct{}
}

func newEvents() *events { return &events{more: make(chan struct{}, 100)} }

func (e *events) add(event clerk.KeysEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	e.more <- struct{}{}
}

// wait returns the next event.
func (e *events) wait() clerk.KeysEvent {
	<-e.more
	e.mu.Lock()
	defer e.mu.Unlock()
	first := e.all[0]
	e.all = e.all[1:]
	return first
}

func TestKeysComeFromTheIssuerUnlessSaidOtherwise(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	v := startWith(t, fromServer(s, &clock{}))
	if _, err := v.Verify(t.Context(), tokenOf(s.Issuer(), key())); err != nil {
		t.Errorf("Verify: %v", err)
	}
	if err := v.Ready(); err != nil {
		t.Errorf("got Ready %v, want nil", err)
	}
	if got := v.Keys(); len(got) != 1 || got[0].ID != kid || len(got[0].SHA256) != 64 {
		t.Errorf("got keys %v, want %s and its thumbprint", got, kid)
	}
}

func TestPublicPEMCanBeGivenBack(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	v := startWith(t, fromServer(s, &clock{}))
	text, err := v.PublicPEM(v.Keys()[0])
	if err != nil || text != key().PEM() {
		t.Errorf("got %q, %v, want the key's PEM", text, err)
	}
	if _, err := v.PublicPEM(clerk.KeyInfo{ID: "ins_else"}); err == nil {
		t.Error("got a PEM of a key that is not held, want an error")
	}
}

func TestThumbprintIsThatOfRFC7638(t *testing.T) {
	t.Parallel()
	// The example of RFC 7638 §3.1.
	entry := `{"kty":"RSA","alg":"RS256","kid":"2011-04-29","e":"AQAB","n":"` +
		"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1" +
		"L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4" +
		"QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbO" +
		"pbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF" +
		"Cur-kEgU8awapJzKnqDKgw" +
		`"}`
	path := writeFile(t, `{"keys":[`+entry+`]}`)
	v := startWith(t, clerk.Config{Issuer: issuer, Keys: clerk.KeyConfig{File: path}})
	sum, err := base64.RawURLEncoding.DecodeString("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
	if err != nil {
		t.Fatal(err)
	}
	want := clerk.KeyInfo{ID: "2011-04-29", SHA256: hexOf(sum)}
	if got := v.Keys(); len(got) != 1 || got[0] != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func hexOf(data []byte) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range data {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func keySetOf(t *testing.T, entries ...map[string]any) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"keys": entries})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWrongSourceRefusesToStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault clerktest.Fault
		want  string
	}{
		"404":           {clerktest.FaultStatus(http.StatusNotFound), "status 404"},
		"410":           {clerktest.FaultStatus(http.StatusGone), "status 410"},
		"HTML":          {clerktest.FaultHTML(), "not a JSON object"},
		"nothing":       {clerktest.FaultEmpty(), "not a JSON object"},
		"huge":          {clerktest.FaultHuge(), "more than 1048576 bytes"},
		"no keys":       {clerktest.FaultBody(`{}`), `no array "keys"`},
		"empty set":     {clerktest.FaultBody(`{"keys":[]}`), "key set is empty"},
		"keys twice":    {clerktest.FaultBody(`{"keys":[],"keys":[]}`), "duplicate"},
		"keys a string": {clerktest.FaultBody(`{"keys":"x"}`), `no array "keys"`},
		"no RSA key":    {clerktest.FaultBody(`{"keys":[{"kty":"EC"},1]}`), "kty is not RSA"},
		"65 keys": {
			clerktest.FaultBody(`{"keys":[` + strings.Repeat("{},", 64) + `{}]}`), "more than 64 keys",
		},
	} {
		s := serve(t)
		s.SetFault(c.fault)
		v, err := clerk.New(t.Context(), fromServer(s, &clock{}))
		if v != nil || err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), s.JWKSURL()) {
			t.Errorf("%s: got %v, want an error with %q and the URL", name, err, c.want)
		}
	}
}

func TestUnreachableSourceIsNotReadyButNoError(t *testing.T) {
	t.Parallel()
	closed := clerktest.NewServer()
	closed.Close()
	elsewhere := serve(t, key())
	for name, fault := range map[string]clerktest.Fault{
		"429":                      clerktest.FaultStatus(http.StatusTooManyRequests),
		"500":                      clerktest.FaultStatus(http.StatusInternalServerError),
		"503":                      clerktest.FaultStatus(http.StatusServiceUnavailable),
		"403":                      clerktest.FaultStatus(http.StatusForbidden),
		"redirect to another host": clerktest.FaultRedirect(elsewhere.JWKSURL()),
		"cut short":                cutShort,
		"refused":                  nil,
	} {
		s := closed
		if fault != nil {
			s = serve(t, key())
			s.SetFault(fault)
		}
		told := newEvents()
		cfg := fromServer(s, &clock{})
		cfg.OnKeys = told.add
		v := startWith(t, cfg)
		ready := v.Ready()
		if !errors.Is(ready, clerk.ErrKeysUnavailable) || !strings.Contains(ready.Error(), s.JWKSURL()) {
			t.Errorf("%s: got Ready %v, want ErrKeysUnavailable and the URL", name, ready)
		}
		_, err := v.Verify(t.Context(), tokenOf(s.Issuer(), key()))
		wantReason(t, err, "keys_unavailable")
		_, err = v.Verify(t.Context(), "nonsense")
		wantReason(t, err, clerk.ReasonTokenMalformed)
		if event := told.wait(); event.Err == nil {
			t.Errorf("%s: got event %+v, want the error", name, event)
		}
		if v.Keys() != nil {
			t.Errorf("%s: got keys %v, want none", name, v.Keys())
		}
	}
	if got := elsewhere.Fetches(); got != 0 {
		t.Errorf("got %d requests at the other host, want 0", got)
	}
}

// cutShort promises more bytes than it sends.
func cutShort(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) bool {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(`{"keys":[`))
	return true
}

func TestRedirectOnTheSameHostIsFollowed(t *testing.T) {
	t.Parallel()
	s := serve(t, key())
	s.SetFault(func(w http.ResponseWriter, r *http.Request, closing <-chan struct{}) bool {
		return r.URL.RawQuery == "" && clerktest.FaultRedirect(s.JWKSURL()+"?moved")(w, r, closing)
	})
	v := startWith(t, fromServer(s, &clock{}))
	if err := v.Ready(); err != nil {
		t.Errorf("got %v, want keys", err)
	}
	s.SetFault(clerktest.FaultRedirect(s.JWKSURL()))
	looping := startWith(t, fromServer(s, &clock{}))
	if err := looping.Ready(); err == nil || !strings.Contains(err.Error(), "redirected too often") {
		t.Errorf("got %v, want it said that redirects loop", err)
	}
}

func TestRedirectsAreCheckedForEveryClient(t *testing.T) {
	t.Parallel()
	s, elsewhere := serve(t, key()), serve(t, key())
	s.SetFault(clerktest.FaultRedirect(elsewhere.JWKSURL()))
	cfg := fromServer(s, &clock{})
	cfg.Keys.Client = &http.Client{Transport: &http.Transport{}}
	v := startWith(t, cfg)
	if v.Ready() == nil || elsewhere.Fetches() != 0 {
		t.Errorf("got Ready %v after %d requests elsewhere, want none", v.Ready(), elsewhere.Fetches())
	}
	if cfg.Keys.Client.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}

func TestUnusableEntriesAreSkipped(t *testing.T) {
	t.Parallel()
	weak := smallKey(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	bad := []map[string]any{
		{"kty": "EC", "crv": "P-256", "kid": "ins_ec", "x": b64(point[1:33]), "y": b64(point[33:])},
		{"kty": "OKP", "crv": "Ed25519", "kid": "ins_okp", "x": b64(make([]byte, 32))},
		{"kty": "oct", "kid": "ins_oct", "k": "c2VjcmV0"},
		{"kty": "RSA", "kid": "ins_weak", "n": b64(weak.N.Bytes()), "e": "AQAB"},
		changed("use", "enc"), changed("alg", "RS384"), changed("alg", 256), changed("use", nil),
		changed("e", "AQ"), changed("e", "Aw"), changed("e", b64([]byte{1, 0, 2})),
		changed("e", b64([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})), changed("e", b64([]byte{0x80, 0, 0, 1})),
		changed("n", b64(new(big.Int).Lsh(big.NewInt(1), 8192).Bytes())), changed("n", ""),
		changed("n", 1), changed("kty", "rsa"), changed("kid", 1), changed("kid", "a\n"),
		changed("d", "AQAB"),
		{},
		nil,
	}
	for _, entry := range bad {
		s := serve(t)
		s.SetEntries(entry)
		if _, err := clerk.New(t.Context(), fromServer(s, &clock{})); err == nil {
			t.Errorf("%v: got a verifier, want the set refused", entry)
		}
	}
	s := serve(t)
	s.SetEntries(append(slices.Clone(bad), key().JWK())...)
	v := startWith(t, fromServer(s, &clock{}))
	if got := v.Keys(); len(got) != 1 || got[0].ID != kid {
		t.Errorf("got keys %v, want only %s", got, kid)
	}
}

// changed is the good entry with one member changed.
func changed(name string, value any) map[string]any {
	entry := key().JWK()
	entry[name] = value
	return entry
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// smallKey is an RSA-1024 key.
func smallKey(t *testing.T) *rsa.PublicKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // weak on purpose
	if err != nil {
		t.Fatal(err)
	}
	return &private.PublicKey
}

func TestKeySetMayHave64Keys(t *testing.T) {
	t.Parallel()
	entries := make([]map[string]any, 63, 64)
	for i := range entries {
		entries[i] = map[string]any{"kty": "EC"}
	}
	s := serve(t)
	s.SetEntries(append(entries, key().JWK())...)
	if got := startWith(t, fromServer(s, &clock{})).Keys(); len(got) != 1 {
		t.Errorf("got keys %v, want the one that is usable", got)
	}
}

func TestEntriesNeedNoUseAlgOrKid(t *testing.T) {
	t.Parallel()
	entry := key().JWK()
	delete(entry, "use")
	delete(entry, "alg")
	delete(entry, "kid")
	s := serve(t)
	s.SetEntries(entry)
	v := startWith(t, fromServer(s, &clock{}))
	_, err := v.Verify(t.Context(), key().Sign(
		clerktest.SessionClaims(s.Issuer(), user, noon), clerktest.WithoutHeader("kid")))
	wantReason(t, err, "")
	_, err = v.Verify(t.Context(), tokenOf(s.Issuer(), key()))
	wantReason(t, err, clerk.ReasonTokenKeyUnknown)
}

func TestKeysUnderOneKidAreAllTried(t *testing.T) {
	t.Parallel()
	second := clerktest.SharedKey("ins_other").WithID(kid)
	s := serve(t, key(), second)
	v := startWith(t, fromServer(s, &clock{}))
	for _, k := range []*clerktest.Key{key(), second} {
		_, err := v.Verify(t.Context(), tokenOf(s.Issuer(), k))
		wantReason(t, err, "")
	}
}

func TestTokenWithoutKidIsTriedWithEveryKey(t *testing.T) {
	t.Parallel()
	second := clerktest.SharedKey("ins_other")
	s := serve(t, key(), second)
	v := startWith(t, fromServer(s, &clock{}))
	for _, k := range []*clerktest.Key{key(), second} {
		_, err := v.Verify(t.Context(), k.Sign(
			clerktest.SessionClaims(s.Issuer(), user, noon), clerktest.WithoutHeader("kid")))
		wantReason(t, err, "")
	}
	_, err := v.Verify(t.Context(), tokenOf(s.Issuer(), key().WithID("ins_other")))
	wantReason(t, err, clerk.ReasonTokenSignatureInvalid)
}

func TestBadFileRefusesToStart(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "none.json"), "folder": t.TempDir(),
		"empty": writeFile(t, ""), "PEM": writeFile(t, key().PEM()),
		"huge": writeFile(t, strings.Repeat(" ", 2<<20)), "no keys": writeFile(t, `{"keys":[]}`),
	} {
		_, err := clerk.New(t.Context(), clerk.Config{Issuer: issuer, Keys: clerk.KeyConfig{File: path}})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%s: got %v, want an error that names the file and the cure", name, err)
		}
	}
}

func TestBadSettingsAreAllNamed(t *testing.T) {
	t.Parallel()
	_, err := clerk.New(t.Context(), clerk.Config{
		Issuer: issuer + "/", Leeway: -1, AuthorizedParties: []string{""},
		HeaderClaims: []string{"a", "a"}, Keys: clerk.KeyConfig{PEM: "x", URL: "y", File: "z"},
	})
	if err == nil {
		t.Fatal("got no error, want five")
	}
	for _, want := range []string{
		"trailing slash", "leeway", "authorized parties", `"a"`, "PEM and URL and file",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	for name, keys := range map[string]clerk.KeyConfig{
		"refresh": {Refresh: 1}, "negative": {Refresh: -1}, "http": {URL: "http://example.com/jwks"},
		"ftp": {URL: "ftp://example.com"}, "user": {URL: "https://" + "a:b" + "@example.com"},
		"fragment": {URL: "https://example.com/#x"}, "PEM": {PEM: "nonsense!"},
	} {
		_, err := clerk.New(t.Context(), clerk.Config{Issuer: issuer, Keys: keys})
		if err == nil || strings.Contains(err.Error(), "a:b") ||
			strings.Contains(err.Error(), "nonsense") {
			t.Errorf("%s: got %v, want an error without secrets", name, err)
		}
	}
}
