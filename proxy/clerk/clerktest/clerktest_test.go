package clerktest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

// call asks the Backend API of s and returns status and decoded body.
func call(t *testing.T, s *clerktest.Server, method, path, body, secret string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(
		t.Context(), method, s.APIURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	client := &http.Client{Timeout: 5 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if err := json.Unmarshal(data, &decoded); err != nil {
		t.Fatalf("%s %s: got %q, want JSON", method, path, data)
	}
	return res.StatusCode, decoded
}

func TestMintedTokensAreAccepted(t *testing.T) {
	t.Parallel()
	s := clerktest.NewServer(clerktest.SharedKey("ins_test"))
	t.Cleanup(s.Close)
	v, err := clerk.New(t.Context(), clerk.Config{Issuer: s.Issuer(), AcceptTemplates: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	_, session := call(t, s, "POST", "/sessions", `{"user_id":"user_1"}`, s.SecretKey())
	id, ok := session["id"].(string)
	if !ok {
		t.Fatalf("got %v, want a session with an id", session)
	}
	for _, c := range []struct {
		path, body, session string
		life                int64
	}{
		{"/tokens", "", id, 60},
		{"/tokens", `{"expires_in_seconds":600}`, id, 600},
		{"/tokens/long", `{"expires_in_seconds":86400}`, "", 86400},
	} {
		_, minted := call(t, s, "POST", "/sessions/"+id+c.path, c.body, s.SecretKey())
		jwt, _ := minted["jwt"].(string)
		got, err := v.Verify(t.Context(), jwt)
		if err != nil {
			t.Errorf("%s %s: got %v, want it accepted", c.path, c.body, err)
			continue
		}
		if got.UserID != "user_1" || got.SessionID != c.session ||
			got.ExpiresAt.Seconds-got.IssuedAt.Seconds != c.life || got.AuthorizedParty != "" {
			t.Errorf("%s %s: got %+v, want user_1, sid %q, %d s", c.path, c.body, got, c.session, c.life)
		}
	}
}

func TestBackendAPIErrsAsClerkDoes(t *testing.T) {
	t.Parallel()
	s := clerktest.NewServer(clerktest.SharedKey("ins_test"))
	t.Cleanup(s.Close)
	_, session := call(t, s, "POST", "/sessions", `{"user_id":"user_1"}`, s.SecretKey())
	id, _ := session["id"].(string)
	for name, c := range map[string]struct {
		path, body, secret string
		status             int
		code               string
	}{
		"bad key":    {"/sessions", `{"user_id":"user_1"}`, "sk_test_x", 401, "clerk_key_invalid"},
		"no user":    {"/sessions", `{"user_id":"x"}`, s.SecretKey(), 404, "resource_not_found"},
		"not JSON":   {"/sessions", `x`, s.SecretKey(), 400, "request_body_invalid"},
		"no session": {"/sessions/sess_x/tokens", ``, s.SecretKey(), 404, "resource_not_found"},
		"too short": {
			"/sessions/" + id + "/tokens", `{"expires_in_seconds":29}`, s.SecretKey(),
			422, "form_param_value_invalid",
		},
	} {
		status, body := call(t, s, "POST", c.path, c.body, c.secret)
		data, err := json.Marshal(body)
		if err != nil || status != c.status || !strings.Contains(string(data), `"`+c.code+`"`) ||
			body["clerk_trace_id"] == "" {
			t.Errorf("%s: got %d %s, want %d %s", name, status, data, c.status, c.code)
		}
	}
	status, user := call(t, s, "GET", "/users/user_1", "", s.SecretKey())
	if status != http.StatusOK || user["primary_email_address_id"] != "idn_1" {
		t.Errorf("got %d %v, want a user with an address", status, user)
	}
}
