package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// secret is a value that is never shown: it prints as a placeholder whatever
// the verb, and in JSON. Convert it to a string to use it.
type secret string

const hidden = "[secret]"

// Format prints the placeholder for every verb.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText makes encoders print the placeholder.
func (secret) MarshalText() ([]byte, error) { //nolint:unparam // TextMarshaler's form
	return []byte(hidden), nil
}

// event names the requests that match a pattern of [net/http.ServeMux].
type event struct{ Name, Pattern string }

// String is the event as it is set: name=pattern.
func (e event) String() string { return e.Name + "=" + e.Pattern }

// claimHeader says which header carries a claim to the upstream.
type claimHeader struct{ Claim, Header string }

// String is the pair as it is set: claim=Header.
func (c claimHeader) String() string { return c.Claim + "=" + c.Header }

// byteSize is a number of bytes.
type byteSize int64

// sizeUnits are what a byteSize may be written in, the largest first.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

// String is the size as it is set, in the largest unit that it is whole in.
func (b byteSize) String() string {
	for _, u := range sizeUnits {
		if n := int64(b); n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return "0"
}

// maxByteSize bounds every size: a PiB.
const maxByteSize = 1 << 50

// maxItems bounds every list: far beyond what anybody needs, and little enough
// to compare each with each.
const maxItems = 64

// parsers maps each type of field to what makes it of text. current is the
// setting being parsed; each error is a settingError about it.
func parsers(current *setting) parserMap {
	m := make(parserMap)
	addParser(m, current, parseBool)
	addParser(m, current, parseDuration)
	addParser(m, current, parseURL)
	addParser(m, current, parseListenAddr)
	addParser(m, current, parseTCPAddr)
	addParser(m, current, parseInt)
	addParser(m, current, parseByteSize)
	addParser(m, current, parseStreamLifetime)
	addParser(m, current, parseTrustedProxies)
	addParser(m, current, parseList)
	addParser(m, current, parseEvents)
	addParser(m, current, parseClaimHeaders)
	return m
}

func addParser[V any](m parserMap, current *setting, parse func(setting, string) (V, error)) {
	m[reflect.TypeFor[V]()] = func(text string) (any, error) {
		v, err := parse(*current, text)
		if err != nil {
			return nil, settingError{current.name, err.Error()}
		}
		return v, nil
	}
}

func parseBool(_ setting, text string) (bool, error) {
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s is neither true nor false; write one of them", show(text))
	}
	return v, nil
}

func parseDuration(s setting, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s is not a duration; write e.g. %s", show(text), s.example)
	}
	if d < bound(s.min) || d > bound(s.max) {
		return 0, fmt.Errorf("%s is out of range; write %s to %s", show(text), s.min, s.max)
	}
	return d, nil
}

func parseInt(s setting, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%s is not a whole number; write e.g. %s", show(text), s.example)
	}
	// Beyond int is beyond the bounds too, and Atoi returns the nearest.
	if least, most := mustAtoi(s.min), mustAtoi(s.max); n < least || n > most {
		return 0, fmt.Errorf("%s is out of range; write %d to %d", show(text), least, most)
	}
	return n, nil
}

// mustAtoi parses a bound from a tag.
func mustAtoi(tag string) int {
	n, err := strconv.Atoi(tag)
	if err != nil {
		panic("config: a number has no bounds: " + err.Error())
	}
	return n
}

func parseByteSize(s setting, text string) (byteSize, error) {
	size, err := readSize(text)
	if err != nil {
		return 0, fmt.Errorf("%s is not a size; write a whole number with KiB, MiB or GiB, e.g. %s",
			show(text), s.example)
	}
	if least, most := mustSize(s.min), mustSize(s.max); size < least || size > most {
		return 0, fmt.Errorf("%s is out of range; write %s to %s", show(text), least, most)
	}
	return size, nil
}

// readSize reads a size in any unit. One that no setting takes, below 0 or beyond
// maxByteSize, comes back as a nearer one, so that it does not overflow.
func readSize(text string) (byteSize, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err == nil {
			return byteSize(max(-1, min(n, maxByteSize/u.bytes+1)) * u.bytes), nil
		}
	}
	return 0, errors.New("no size")
}

// mustSize parses a bound from a tag.
func mustSize(tag string) byteSize {
	size, err := readSize(tag)
	if err != nil {
		panic("config: a size has no bounds: " + err.Error())
	}
	return size
}

// bound parses a bound from a tag.
func bound(tag string) time.Duration {
	d, err := time.ParseDuration(tag)
	if err != nil {
		panic("config: a duration has no bounds: " + err.Error())
	}
	return d
}

// parseURL takes absolute URLs of any scheme. User info is refused here, and a
// value that could hold some is not shown.
func parseURL(s setting, text string) (url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case strings.Contains(text, "@"):
		return url.URL{}, fmt.Errorf("a URL with user info is not taken; write e.g. %s", s.example)
	case err != nil || !strings.Contains(text, "://"):
		return url.URL{}, fmt.Errorf("%s is not a URL; write e.g. %s", show(text), s.example)
	}
	return *u, nil
}

// parseList splits at commas. Blanks round a comma do not count.
func parseList(_ setting, text string) ([]string, error) {
	items := strings.Split(text, ",")
	if len(items) > maxItems {
		return nil, fmt.Errorf("%d items are too many; write %d at most", len(items), maxItems)
	}
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
		if items[i] == "" {
			return nil, errors.New("an item is empty; remove the comma beside it")
		}
		if slices.Contains(items[:i], items[i]) {
			return nil, fmt.Errorf("%s stands there twice; remove one", show(items[i]))
		}
	}
	return items, nil
}

func parseEvents(s setting, text string) ([]event, error) {
	return parsePairs(s, text, "name=METHOD /path",
		func(k, v string) event { return event{k, v} })
}

func parseClaimHeaders(s setting, text string) ([]claimHeader, error) {
	return parsePairs(s, text, "claim=Header",
		func(k, v string) claimHeader { return claimHeader{k, v} })
}

// parsePairs splits a list, and each item at its first equals sign.
func parsePairs[P any](s setting, text, form string, pair func(k, v string) P) ([]P, error) {
	items, err := parseList(s, text)
	if err != nil {
		return nil, err
	}
	pairs := make([]P, len(items))
	for i, item := range items {
		k, v, _ := strings.Cut(item, "=")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		if k == "" || v == "" {
			return nil, fmt.Errorf("%s is not %s; write e.g. %s", show(item), form, s.example)
		}
		pairs[i] = pair(k, v)
	}
	return pairs, nil
}
