package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"tollbook/proxy/admin"
)

type healthCommand struct {
	EnvFile string        `name:"env-file" help:"Settings file; .env.local if it is there." placeholder:"PATH"`
	Timeout time.Duration `default:"3s" help:"Longest wait for the answer."`
}

// maxStatus bounds what is read of an answer.
const maxStatus = 64 << 10

// Run fails, for an exit code of 1, unless the sidecar says that it is ready.
func (c *healthCommand) Run(a *app) error {
	addr, err := adminAddr(a.environ, a.dir, c.EnvFile)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.ctx, c.Timeout)
	defer cancel()
	url := "http://" + dialable(addr) + "/readyz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("not running: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxStatus))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", causes(text))
	}
	_, err = fmt.Fprintln(a.stdout, "ready")
	return err
}

// dialable makes an address to listen on one to connect to.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}

// causes lists the checks that are not good.
func causes(text []byte) string {
	var s admin.Status
	if err := json.Unmarshal(text, &s); err != nil {
		return strings.TrimSpace(string(text))
	}
	var list []string
	for name, state := range s.Checks {
		if state != "ok" {
			list = append(list, name+": "+state)
		}
	}
	slices.Sort(list)
	return strings.Join(list, "; ")
}
