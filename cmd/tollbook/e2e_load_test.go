package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// loadClients is how many clients use the proxy at once under load.
const loadClients = 16

// receipt is what a client holds of a reply that it received to its end.
type receipt struct {
	status     int
	requestID  string
	retryAfter string
	body       string
}

// says reports whether the reply is the program's own, with this status and
// reason.
func (r receipt) says(status int, reason string) bool {
	return r.status == status && strings.Contains(r.body, `"reason":"`+reason+`"`)
}

// post sends a small file as a job and returns the whole reply.
func post(ctx context.Context, client *http.Client, url, token string) (receipt, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "urs.txt")
	if err != nil {
		return receipt{}, fmt.Errorf("making the form: %w", err)
	}
	if _, err := io.WriteString(part, "the system shall keep a trail\n"); err != nil {
		return receipt{}, fmt.Errorf("making the form: %w", err)
	}
	if err := form.Close(); err != nil {
		return receipt{}, fmt.Errorf("making the form: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, &body)
	if err != nil {
		return receipt{}, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Authorization", "Bearer "+token)
	return send(client, req)
}

// send returns the whole reply to req.
func send(client *http.Client, req *http.Request) (receipt, error) {
	res, err := client.Do(req)
	if err != nil {
		return receipt{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return receipt{}, fmt.Errorf("reading the reply: %w", err)
	}
	return receipt{
		res.StatusCode, res.Header.Get("X-Request-ID"), res.Header.Get("Retry-After"), string(text),
	}, nil
}

// wantRecorded holds the trail to a completed record for every receipt.
func wantRecorded(t *testing.T, closed map[string]trailRecord, receipts []receipt) {
	t.Helper()
	for _, r := range receipts {
		got, found := closed[r.requestID]
		if !found || got.Phase != "completed" || got.HTTPStatus != r.status {
			t.Errorf("request %s, answered %d: got recorded as %q %d, want completed",
				r.requestID, r.status, got.Phase, got.HTTPStatus)
		}
	}
}
