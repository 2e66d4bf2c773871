package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// listen takes the address. A socket's file that nobody listens on is left from a
// run that died, and is replaced.
func listen(ctx context.Context, network, address string) (net.Listener, error) {
	if network == "unix" {
		if err := removeStale(ctx, address); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// staleTimeout bounds the question whether somebody listens on a socket.
const staleTimeout = time.Second

// removeStale removes the socket of a run that died.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%q is there and is no socket: remove it, or name another path", path)
	}
	dialer := net.Dialer{Timeout: staleTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("%q is in use by another process", path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}
