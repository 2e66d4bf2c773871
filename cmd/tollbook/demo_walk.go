package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"tollbook/proxy/clerk/clerktest"
)

// demoFile is what is uploaded.
const demoFile = "batch,potency\nA-1,99.2\nA-2,98.7\n"

// demoTimeout bounds one request of the demo.
const demoTimeout = 10 * time.Second

func (d *demo) intro() {
	d.printf("tollbook demo: a stand-in Clerk, a jobs API without any auth code,\n"+
		"and the sidecar in front of it.\n\n  Clerk     %s\n  jobs API  %s\n  tollbook  %s\n\n",
		d.clerk.URL(), d.jobs.url, d.url)
}

// walk goes through the main job: one request that is good, and those that are
// not.
func (d *demo) walk() error {
	now := time.Now()
	good := d.token(d.key, now, time.Minute)
	stranger := clerktest.NewKey(d.key.ID())
	steps := []struct {
		name, token string
		forged      bool
		status      int
		detail      string
	}{
		{"good token, a forged X-User-ID beside it", good, true, http.StatusCreated, ""},
		{"no token", "", false, http.StatusUnauthorized, "Not authenticated"},
		{
			"expired token", d.token(d.key, now.Add(-2*time.Minute), time.Minute), false,
			http.StatusUnauthorized, "Token expired",
		},
		{
			"wrong signature", d.token(stranger, now, time.Minute), false,
			http.StatusUnauthorized, "Invalid token signature",
		},
	}
	for _, step := range steps {
		status, reply, err := d.post(step.token, step.forged)
		if err != nil {
			return err
		}
		if step.status == http.StatusCreated {
			d.showJob(step.name, status, reply)
			continue
		}
		d.show(step.name, status, reply["detail"], status == step.status && reply["detail"] == step.detail)
	}
	d.show("reached the jobs API", d.jobs.count(), "request in all", d.jobs.count() == 1)
	return nil
}

// showJob looks at the reply of the upload: what the jobs API says that it got.
func (d *demo) showJob(name string, status int, reply map[string]string) {
	d.show(name, status, "job_id "+reply["job_id"], status == http.StatusCreated && reply["job_id"] != "")
	seen := d.jobs.userIDs()
	d.show("X-User-ID at the jobs API", len(seen), fmt.Sprint(seen),
		len(seen) == 1 && seen[0] == demoUser)
	sum := sha256.Sum256([]byte(demoFile))
	d.show("the file's SHA-256 there", 1, reply["urs_hash"],
		reply["urs_hash"] == hex.EncodeToString(sum[:]))
}

// show prints a step and counts it if it is not as it should be.
func (d *demo) show(name string, number int, text string, ok bool) {
	mark := "ok  "
	if !ok {
		mark = "FAIL"
		d.failed++
	}
	d.printf("  %s  %-42s %3d  %s\n", mark, name, number, text)
}

// post uploads the file, with a token unless it is empty.
func (d *demo) post(token string, forged bool) (int, map[string]string, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "batch.csv")
	if err != nil {
		return 0, nil, err
	}
	if _, err := io.WriteString(part, demoFile); err != nil {
		return 0, nil, err
	}
	if err := w.Close(); err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(d.ctx, demoTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/jobs", &form)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", w.FormDataContentType())
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if forged {
		req.Header.Set("X-User-ID", forgedUser)
	}
	return send(req)
}

// send returns the status and the JSON reply's texts.
func send(req *http.Request) (int, map[string]string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	var reply map[string]string
	if err := json.NewDecoder(res.Body).Decode(&reply); err != nil {
		return 0, nil, fmt.Errorf("reply of %s: %w", req.URL.Path, err)
	}
	return res.StatusCode, reply, nil
}

// curlLines prints what to paste while the demo stays up.
func (d *demo) curlLines() {
	d.printf("\nAll of it stays up until Ctrl-C. To paste into another terminal:\n\n"+
		"TOKEN=%s\n\n"+
		"printf 'batch,potency\\nA-1,99.2\\n' > /tmp/batch.csv\n"+
		"curl -i -H \"Authorization: Bearer $TOKEN\" -F file=@/tmp/batch.csv %[2]s/jobs\n"+
		"curl -i -F file=@/tmp/batch.csv %[2]s/jobs\n"+
		"curl -i -H \"Authorization: Bearer $TOKEN\" %[2]s/jobs\n"+
		"curl -s http://%[3]s/readyz\n"+
		"tail -n 1 %[4]s/audit_*.jsonl\n\n"+
		"The token is the stand-in's and lives for an hour; Clerk's live for a minute.\n",
		d.token(d.key, time.Now(), demoLife), d.url, d.sidecar.admin.Addr(), d.auditDir())
}
