//go:build !linux

package audit_test

import (
	"os"
	"testing"
)

// asAnyUser calls do, unless root runs the tests.
func asAnyUser(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED: root may write everywhere; run the tests as another user to see this one")
	}
	do()
}
