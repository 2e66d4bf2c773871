//go:build !linux

package audit

import "os"

// syncData makes the file durable (on macOS os.File.Sync asks the drive too).
func syncData(f *os.File) error { return f.Sync() }

// preallocate does nothing here: it is a matter of speed only.
func preallocate(*os.File, int64, int64) {}
