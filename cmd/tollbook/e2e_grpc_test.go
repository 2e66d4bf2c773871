package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tollbook/proxy/clerk/clerktest"
)

// grpcFindings is what testdata/grpc_client.py tells: of errors the code, the
// message and the trailing metadata.
type grpcFindings struct {
	Metadata, Trailers                 [][2]string
	Code                               string
	Large                              bool
	Count, Chat                        []string
	Join                               string
	ChatCode                           string `json:"chat_code"`
	Fail, Deadline, Unknown, Anonymous grpcError
	Slept                              slept
}

// values returns the values of the metadata of this name.
func values(metadata [][2]string, name string) (found []string) {
	for _, m := range metadata {
		if m[0] == name {
			found = append(found, m[1])
		}
	}
	return found
}

type grpcError struct {
	code, message string
	trailers      [][2]string
}

// UnmarshalJSON implements [json.Unmarshaler].
func (e *grpcError) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&e.code, &e.message, &e.trailers})
}

// slept is what the server saw of a call that it did not answer.
type slept struct {
	over      bool    // it learnt that the call was over
	remaining float64 // seconds to the deadline
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *slept) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&s.over, &s.remaining})
}

// gRPC of another make than Go's, on both sides.
func TestEndToEndGRPC(t *testing.T) {
	t.Parallel()
	python := requireGRPC(t)
	key := clerktest.SharedKey(keyID)
	binary, trail := buildTollbook(t), filepath.Join(t.TempDir(), "trail")
	upstream := startGRPC(t, python)
	running := startSidecar(t, binary, "h2c://"+upstream, trail, trusting(key))
	tokens := tokens{key: key}
	got := callGRPC(t, python, strings.TrimPrefix(running.url, "http://"), tokens.current())
	running.terminate(t)
	checkGRPCUnary(t, &got)
	checkGRPCStreams(t, &got)
	checkGRPCErrors(t, &got)
	verifyTrail(t, binary, trail)
	checkGRPCTrail(t, trail)
}

// requireGRPC returns a Python that has gRPC.
func requireGRPC(t *testing.T) (python string) {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import grpc").Run() == nil {
			return python
		}
	}
	lacking(t, "no python3 imports grpc: install it, on Debian: apt-get install python3-grpcio")
	return ""
}

// startGRPC runs the server and returns its address.
func startGRPC(t *testing.T, python string) (addr string) {
	t.Helper()
	addr = freeAddr(t)
	// Not the test's context: see startSidecar.
	//nolint:gosec // G204: the command is the tests' own
	cmd := exec.CommandContext(context.Background(), python, script(t, "grpc_server.py"), addr)
	p := startProcess(t, cmd)
	eventually(t, "the gRPC server listens", func() error {
		if p.hasExited() {
			t.Fatalf("the gRPC server ended while starting: %v", cmd.ProcessState)
		}
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return addr
}

func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatalf("finding %s: %v", name, err)
	}
	return path
}

// callGRPC runs the client to its end.
func callGRPC(t *testing.T, python, addr, token string) (found grpcFindings) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	//nolint:gosec // G204: the command is the tests' own
	cmd := exec.CommandContext(ctx, python, script(t, "grpc_client.py"), addr)
	cmd.Stdin, cmd.Dir = strings.NewReader(token), t.TempDir()
	cmd.Env = append(os.Environ(), "no_proxy=*")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the gRPC client: %v\n%s", err, stderrOf(err))
	}
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("the gRPC client's findings: %v\n%s", err, out)
	}
	return found
}

func checkGRPCUnary(t *testing.T, got *grpcFindings) {
	t.Helper()
	for name, want := range map[string][]string{
		"x-user-id": {alice}, "authorization": nil, "x-own": {"kept"},
	} {
		if seen := values(got.Metadata, name); !slices.Equal(seen, want) {
			t.Errorf("metadata %s upstream: got %q, want %q", name, seen, want)
		}
	}
	if got.Code != "OK" || !slices.Equal(values(got.Trailers, "x-trail"), []string{"end"}) ||
		!slices.Equal(values(got.Trailers, "bytes-bin"), []string{"00ff"}) {
		t.Errorf("got %s and trailing metadata %q, want what the server sent", got.Code, got.Trailers)
	}
}

func checkGRPCStreams(t *testing.T, got *grpcFindings) {
	t.Helper()
	if want := []string{"0", "1", "2"}; !slices.Equal(got.Count, want) {
		t.Errorf("server streaming: got %q, want %q", got.Count, want)
	}
	if got.Join != "a,b,c" || !got.Large {
		t.Errorf("client streaming: got %q, large ones whole: %t", got.Join, got.Large)
	}
	if want := []string{"re: 0", "re: 1", "re: 2"}; !slices.Equal(got.Chat, want) || got.ChatCode != "OK" {
		t.Errorf("bidirectional streaming: got %q and %s, want %q", got.Chat, got.ChatCode, want)
	}
}

func checkGRPCErrors(t *testing.T, got *grpcFindings) {
	t.Helper()
	if got.Fail.code != "FAILED_PRECONDITION" || got.Fail.message != "no, café 100%" ||
		!slices.Equal(values(got.Fail.trailers, "x-trail"), []string{"of a failure"}) {
		t.Errorf("an error: got %+v, want the server's own", got.Fail)
	}
	if got.Unknown.code != "UNIMPLEMENTED" {
		t.Errorf("an unknown method: got %+v, want UNIMPLEMENTED", got.Unknown)
	}
	if got.Anonymous.code != "UNAUTHENTICATED" {
		t.Errorf("no token: got %+v, want UNAUTHENTICATED", got.Anonymous)
	}
	if got.Deadline.code != "DEADLINE_EXCEEDED" || !got.Slept.over ||
		got.Slept.remaining <= 0 || got.Slept.remaining > 1 {
		t.Errorf("a deadline: got %+v, and %+v upstream, want it to be seen on both sides",
			got.Deadline, got.Slept)
	}
}

// A grpcCall is what the trail tells of a call.
type grpcCall struct {
	Phase     string `json:"phase"`
	Path      string `json:"http_path"`
	Proto     string `json:"http_proto"`
	Reason    string `json:"reason"`
	Outcome   string `json:"outcome"`
	Request   string `json:"req_sha256"`
	Reply     string `json:"res_sha256"`
	ReplyEnds bool   `json:"res_complete"`
}

// frames returns the digest of messages as gRPC sends them.
func frames(messages ...string) string {
	sum := sha256.New()
	for _, m := range messages {
		_ = binary.Write(sum, binary.BigEndian, struct {
			Compressed byte
			Length     uint32
		}{0, uint32(len(m))}) //nolint:gosec // G115: they are short
		_, _ = io.WriteString(sum, m)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// checkGRPCTrail looks for the calls in the trail, and for the digests of what
// was said in them.
func checkGRPCTrail(t *testing.T, trail string) {
	t.Helper()
	wantClosedOnce(t, readTrail(t, trail))
	content, err := os.ReadFile(newestDay(t, trail))
	if err != nil {
		t.Fatalf("reading the trail: %v", err)
	}
	found := map[grpcCall]int{}
	for line := range strings.Lines(string(content)) {
		var c grpcCall
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("a line of the trail is no record: %v\n%s", err, line)
		}
		found[c]++
	}
	for _, want := range []grpcCall{
		{Path: "Count", Request: frames(""), Reply: frames("0", "1", "2")},
		{Path: "Join", Request: frames("a", "b", "c"), Reply: frames("a,b,c")},
		{Path: "Chat", Request: frames("0", "1", "2"), Reply: frames("re: 0", "re: 1", "re: 2")},
		{Path: "Fail", Request: frames(""), Reply: frames()},
	} {
		want.Path, want.Phase = "/test.Bytes/"+want.Path, "completed"
		want.Outcome, want.ReplyEnds = "ok", true
		if found[want] != 1 {
			t.Errorf("got %d records like %+v, want 1", found[want], want)
		}
	}
	refused := grpcCall{
		Phase: "refused", Path: "/test.Bytes/Who", Proto: "HTTP/2.0", Reason: "token_missing",
	}
	if found[refused] != 1 {
		t.Errorf("got %d records like %+v, want 1", found[refused], refused)
	}
}
