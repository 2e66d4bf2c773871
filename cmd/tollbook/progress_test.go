package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// A steppedBar is a bar whose clock a test moves.
func steppedBar() (b *bar, out *bytes.Buffer, step func(time.Duration)) {
	out, now := new(bytes.Buffer), time.Unix(1000, 0)
	b = &bar{w: out, now: func() time.Time { return now }, began: now}
	return b, out, func(d time.Duration) { now = now.Add(d) }
}

func TestABarTellsHowFarAndHowLong(t *testing.T) {
	t.Parallel()
	b, out, step := steppedBar()
	step(2 * time.Second)
	b.update(512<<10, 2<<20)
	if want := "\r 25%  512.0 KiB of 2.0 MiB  6s left\x1b[K"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	b.clear()
	if !strings.HasSuffix(out.String(), "left\x1b[K\r\x1b[K") {
		t.Errorf("got %q, want it erased", out.String())
	}
}

func TestABarIsDrawnWhenItIsDue(t *testing.T) {
	t.Parallel()
	b, out, step := steppedBar()
	drawn := func() int { return strings.Count(out.String(), "left") }
	for range 499 {
		step(time.Millisecond)
		b.update(1, 100)
	}
	b.clear()
	if out.Len() > 0 {
		t.Errorf("in the first half second: got %q, want nothing", out.String())
	}
	for range 1000 {
		step(time.Millisecond)
		b.update(50, 100)
	}
	if got := drawn(); got != 10 {
		t.Errorf("in a second: got it drawn %d times, want 10", got)
	}
	b.update(0, 0)
	if got := drawn(); got != 10 {
		t.Error("of nothing: got it drawn")
	}
}

func TestThereIsNoBarWithoutATerminal(t *testing.T) {
	t.Parallel()
	b := newBar(new(bytes.Buffer))
	if b != nil {
		t.Fatal("got a bar, want none")
	}
	b.update(1, 2)
	b.clear()
}

func TestByteSizeIsForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 1 << 62: "4.0 EiB",
	} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
