package audit_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// asAnyUser calls do without root's power to write and read everything, which a
// thread can lay down for itself (capabilities(7)).
func asAnyUser(t *testing.T, do func()) {
	t.Helper()
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		err := layDown(unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH)
		if err == nil {
			do()
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

func layDown(capabilities ...int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	for _, c := range capabilities {
		data[0].Effective &^= 1 << c
		data[0].Permitted &^= 1 << c
	}
	return unix.Capset(&header, &data[0])
}
