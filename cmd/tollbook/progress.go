package main

import (
	"fmt"
	"io"
	"time"
)

// When a bar is drawn: work that is done at once needs none, and a terminal not
// more than ten a second.
const (
	barAfter = 500 * time.Millisecond
	barEvery = 100 * time.Millisecond
)

// A bar shows on a terminal how far long work has come. A nil bar shows nothing.
type bar struct {
	w            io.Writer
	now          func() time.Time
	began, drawn time.Time
}

// newBar returns the bar for work that begins now, nil if stderr is no terminal.
func newBar(stderr io.Writer) *bar {
	if !isTerminal(stderr) {
		return nil
	}
	return &bar{w: stderr, now: time.Now, began: time.Now()}
}

// update draws the bar when it is due. It is what [audit.Search] calls.
func (b *bar) update(done, total int64) {
	if b == nil || total <= 0 {
		return
	}
	now := b.now()
	spent := now.Sub(b.began)
	if spent < barAfter || now.Sub(b.drawn) < barEvery {
		return
	}
	b.drawn = now
	line := fmt.Sprintf("%3d%%  %s of %s", 100*done/total, sizeText(done), sizeText(total))
	if done > 0 {
		left := time.Duration(float64(spent) / float64(done) * float64(total-done))
		line += fmt.Sprintf("  %s left", left.Round(time.Second))
	}
	fmt.Fprintf(b.w, "\r%s\x1b[K", line)
}

// clear takes the bar off the terminal again.
func (b *bar) clear() {
	if b != nil && !b.drawn.IsZero() {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
}

// sizeText is n for people.
func sizeText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	size, i := float64(n)/unit, 0
	for ; size >= unit; i++ {
		size /= unit
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTPE"[i])
}
