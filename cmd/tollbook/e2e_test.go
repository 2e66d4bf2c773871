package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// The end-to-end tests run the built program between curl and the FastAPI
// example, as its users do:
//
//	curl → tollbook serve → uvicorn app:app
//
// They know nothing of the program but its settings, its replies and its trail.

const (
	issuer = "https://clerk.jobs.example"
	alice  = "user_alice"
	bob    = "user_bob"
	keyID  = "ins_jobs"
)

func TestEndToEndFastAPI(t *testing.T) {
	t.Parallel()
	python := requireTools(t)
	key := clerktest.SharedKey(keyID)
	binary, trail := buildTollbook(t), filepath.Join(t.TempDir(), "trail")
	api := startJobsAPI(t, python)
	running := startSidecar(t, binary, api, trail, map[string]string{
		"CLERK_ISSUER":         issuer,
		"CLERK_PEM_PUBLIC_KEY": key.PEM(),
	})
	stack{
		sidecar: running, key: key, issuer: issuer,
		api: api, trail: trail, binary: binary,
	}.run(t)
}

// stack is a running tollbook with an API behind it, under test by curl.
type stack struct {
	*sidecar
	key    *clerktest.Key // what the sidecar verifies against
	issuer string
	api    string // the API's own URL, round tollbook
	trail  string
	binary string
}

// run puts the stack through everything that its users rely on, and ends it.
func (s stack) run(t *testing.T) {
	t.Helper()
	upload := s.checkSubmit(t)
	s.checkAcceptedVariants(t, upload)
	s.checkIdentityIsOurs(t, upload)
	s.checkOwnership(t, upload)
	s.checkRefusals(t, upload)
	s.terminate(t)
	verifyTrail(t, s.binary, s.trail)
	wantClosedOnce(t, readTrail(t, s.trail))
	s.checkNoTokenLeft(t)
}

// upload is a file for curl to post.
type upload struct {
	path   string
	sha256 string
	size   int64
}

// form returns curl's argument that sends the file as the API wants it.
func (u upload) form() []string {
	return []string{"--form", "file=@" + u.path + ";type=application/pdf"}
}

// newUpload writes a file of several of the API's chunks, with what looks like
// the end of a multipart body inside. A blank and an accent stand in its name,
// since users' files have them.
func newUpload(t *testing.T) upload {
	t.Helper()
	content := bytes.Repeat([]byte("%PDF-1.7 the system shall keep a trail\n"), 70_000)
	content = append(content, "\r\n--boundary--\r\n\x00\xff"...)
	path := filepath.Join(t.TempDir(), "URS café.pdf")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("writing the upload: %v", err)
	}
	sum := sha256.Sum256(content)
	return upload{path: path, sha256: hex.EncodeToString(sum[:]), size: int64(len(content))}
}

// job is the API's reply to a good request.
type job struct {
	ID        string `json:"job_id"`
	Status    string `json:"status"`
	CreatedAt string `json:"created_at"`
	URSHash   string `json:"urs_hash"`
}

// submit posts the file with the token and wants a 201.
func (s stack) submit(t *testing.T, u upload, token string, extra ...string) (job, reply) {
	t.Helper()
	args := append(append(bearer(token), u.form()...), extra...)
	r := curl(t, append(args, s.url+"/jobs")...)
	if r.status != 201 {
		t.Fatalf("POST /jobs: got %d %s, want 201", r.status, r.body)
	}
	var j job
	if err := json.Unmarshal([]byte(r.body), &j); err != nil {
		t.Fatalf("POST /jobs: %v in %s", err, r.body)
	}
	if j.ID == "" || j.Status != "pending" || j.CreatedAt == "" || j.URSHash != u.sha256 {
		t.Errorf("POST /jobs: got %s, want a pending job with urs_hash %s", r.body, u.sha256)
	}
	return j, r
}

// checkSubmit posts a file and holds the newest line of the trail to it.
func (s stack) checkSubmit(t *testing.T) upload {
	t.Helper()
	u := newUpload(t)
	claims := clerktest.SessionClaims(s.issuer, alice, time.Now())
	delete(claims, "email")
	j, r := s.submit(t, u, s.key.Sign(claims))
	line := tailTrail(t, s.trail)
	got := parseRecord(t, line)
	t.Logf("tail -n 1: %s", line)

	if id := r.header.Get("X-Request-ID"); got.RequestID != id || id == "" {
		t.Errorf("request_id: got %q in the trail, %q in the reply", got.RequestID, id)
	}
	if got.Phase != "completed" || got.EventType != "submit" || got.Outcome != "ok" ||
		got.HTTPStatus != 201 {
		t.Errorf("got %s %s %s %d, want completed submit ok 201",
			got.Phase, got.EventType, got.Outcome, got.HTTPStatus)
	}
	if text(got.JobID) != j.ID || text(got.Status) != "pending" {
		t.Errorf("got job %s %s, want %s pending", text(got.JobID), text(got.Status), j.ID)
	}
	checkIdentity(t, line, claims)
	if len(got.Metadata.Files) != 1 {
		t.Fatalf("metadata.files: got %+v, want the one upload", got.Metadata.Files)
	}
	want := trailFile{"file", filepath.Base(u.path), j.URSHash, u.size}
	if got.Metadata.Files[0] != want {
		t.Errorf("metadata.files[0]: got %+v, want %+v", got.Metadata.Files[0], want)
	}
	return u
}

// checkIdentity holds a record of a session without an email to its claims.
func checkIdentity(t *testing.T, line string, claims map[string]any) {
	t.Helper()
	got := parseRecord(t, line)
	if text(got.UserID) != claims["sub"] || text(got.SessionID) != claims["sid"] {
		t.Errorf("got user %s session %s, want %s %s",
			text(got.UserID), text(got.SessionID), claims["sub"], claims["sid"])
	}
	if got.TokenIAT == nil || *got.TokenIAT != claims["iat"] {
		t.Errorf("token_iat: got %v, want %v", got.TokenIAT, claims["iat"])
	}
	if !strings.Contains(line, `"user_email":null`) {
		t.Errorf("got user_email %s, want null in %s", text(got.UserEmail), line)
	}
	if text(got.Attributable) != claims["sub"] {
		t.Errorf("alcoa_attributable: got %s, want %s", text(got.Attributable), claims["sub"])
	}
	if got.Contemporaneous != got.Timestamp || got.Timestamp == "" {
		t.Errorf("alcoa_contemporaneous: got %q, want the timestamp %q",
			got.Contemporaneous, got.Timestamp)
	}
}

// checkAcceptedVariants posts with tokens that differ from the usual one in
// ways that must not matter.
func (s stack) checkAcceptedVariants(t *testing.T, u upload) {
	t.Helper()
	for _, c := range []struct {
		name         string
		claim        string
		value        any
		attributable string
	}{
		{"an audience is not checked", "aud", "somebody-else", alice},
		{"audiences are not checked", "aud", []string{"a", "b"}, alice},
		{"an email is recorded", "email", "alice@jobs.example", alice + " (alice@jobs.example)"},
	} {
		claims := clerktest.SessionClaims(s.issuer, alice, time.Now())
		delete(claims, "email")
		claims[c.claim] = c.value
		s.submit(t, u, s.key.Sign(claims))
		got := parseRecord(t, tailTrail(t, s.trail))
		if text(got.Attributable) != c.attributable {
			t.Errorf("%s: got %s, want %s", c.name, text(got.Attributable), c.attributable)
		}
	}
}

// checkIdentityIsOurs sends the identity headers that a forger would. The API
// answers 500 unless exactly one X-User-ID arrives, and the job must be the
// token's user's.
func (s stack) checkIdentityIsOurs(t *testing.T, u upload) {
	t.Helper()
	for _, forged := range [][]string{
		{"--header", "X-User-ID: " + bob},
		{"--header", "x-user-id: " + bob, "--header", "X-USER-ID: " + bob},
		{"--header", "Connection: X-User-ID", "--header", "X-User-ID: " + bob},
	} {
		j, _ := s.submit(t, u, s.tokenOf(alice), forged...)
		for user, want := range map[string]int{alice: 200, bob: 403} {
			if r := s.get(t, user, "/jobs/"+j.ID); r.status != want {
				t.Errorf("with %q, GET by %s: got %d, want %d", forged, user, r.status, want)
			}
		}
	}
	r := curl(t, append(u.form(), "--header", "X-User-ID: "+bob, s.url+"/jobs")...)
	if r.status != 401 {
		t.Errorf("X-User-ID without a token: got %d, want 401", r.status)
	}
	if r := curl(t, append(u.form(), s.api+"/jobs")...); r.status != 500 {
		t.Errorf("round tollbook, without X-User-ID: got %d, want the API's 500", r.status)
	}
}

// checkOwnership walks through the API's own answers, which pass untouched and
// are recorded as what the route is called.
func (s stack) checkOwnership(t *testing.T, u upload) {
	t.Helper()
	j, _ := s.submit(t, u, s.tokenOf(alice))
	for _, c := range []struct {
		user, method, path string
		status             int
		event, body        string
	}{
		{alice, "GET", "/jobs/" + j.ID, 200, "status", `"status":"pending"`},
		{bob, "GET", "/jobs/" + j.ID, 403, "status", `{"detail":"This job belongs to somebody else"}`},
		{bob, "DELETE", "/jobs/" + j.ID, 403, "cancel", `{"detail":"This job belongs to somebody else"}`},
		{bob, "GET", "/jobs", 200, "list", `{"jobs":[]}`},
		{alice, "GET", "/jobs", 200, "list", j.ID},
		{alice, "GET", "/jobs/none", 404, "status", `{"detail":"No such job"}`},
		{alice, "DELETE", "/jobs/" + j.ID, 200, "cancel", `"status":"cancelled"`},
		{alice, "GET", "/", 200, "request", `{"status":"ok"}`},
	} {
		r := curl(t, append(bearer(s.tokenOf(c.user)), "--request", c.method, s.url+c.path)...)
		if r.status != c.status || !strings.Contains(r.body, c.body) {
			t.Errorf("%s %s by %s: got %d %s, want %d %s",
				c.method, c.path, c.user, r.status, r.body, c.status, c.body)
		}
		got := parseRecord(t, tailTrail(t, s.trail))
		if got.EventType != c.event || got.HTTPStatus != c.status || text(got.UserID) != c.user {
			t.Errorf("%s %s by %s: recorded as %s %d by %s, want %s %d",
				c.method, c.path, c.user, got.EventType, got.HTTPStatus, text(got.UserID),
				c.event, c.status)
		}
		if id, named := strings.CutPrefix(c.path, "/jobs/"); named && text(got.JobID) != id {
			t.Errorf("%s %s: got job_id %s, want %s", c.method, c.path, text(got.JobID), id)
		}
	}
}

// checkNoTokenLeft makes sure that no token stands in the trail or the log.
func (s stack) checkNoTokenLeft(t *testing.T) {
	t.Helper()
	header, _, _ := strings.Cut(s.tokenOf(alice), ".")
	texts := map[string]string{"the log": s.output.String()}
	for _, file := range dayFiles(t, s.trail) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("reading the trail: %v", err)
		}
		texts[filepath.Base(file)] = string(text)
	}
	for name, text := range texts {
		if strings.Contains(text, header) {
			t.Errorf("a token stands in %s", name)
		}
	}
}

// tokenOf returns a good token for the user.
func (s stack) tokenOf(user string) string {
	return s.key.Sign(clerktest.SessionClaims(s.issuer, user, time.Now()))
}

// get asks for the path with a good token of the user's.
func (s stack) get(t *testing.T, user, path string) reply {
	t.Helper()
	return curl(t, append(bearer(s.tokenOf(user)), s.url+path)...)
}
