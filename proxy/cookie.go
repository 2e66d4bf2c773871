package proxy

import (
	"net/http"
	"strings"
)

// stripCookie removes the session cookie, and leaves the others as they are, to
// the byte. Clerk sets it a second time, under the name with an underscore and a
// suffix behind it.
func stripCookie(header http.Header, name string) {
	lines := header["Cookie"]
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if !strings.Contains(line, name) {
			kept = append(kept, line)
			continue
		}
		if line = withoutCookie(line, name); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(header, "Cookie")
		return
	}
	header["Cookie"] = kept
}

func withoutCookie(line, name string) string {
	var kept []string
	for pair := range strings.SplitSeq(line, ";") {
		found, _, _ := strings.Cut(pair, "=")
		found = strings.Trim(found, " \t")
		if found != name && !strings.HasPrefix(found, name+"_") {
			kept = append(kept, pair)
		}
	}
	return strings.TrimLeft(strings.Join(kept, ";"), " \t")
}
