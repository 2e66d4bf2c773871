package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// maxName bounds every name that a setting makes up: of headers, claims, events
// and fields.
const maxName = 64

// maxResponseFields keeps the lifted fields a small part of a record.
const maxResponseFields = 16

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	claimName  = regexp.MustCompile(`^[!-~]+$`)
	eventName  = regexp.MustCompile(`^[a-z0-9_]+$`)
	fieldName  = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

// takenHeaders are names that no header of ours may have, nor an alias of them:
// hop-by-hop ones (RFC 9110, section 7.6.1), which never arrive, those that say
// what a request is and who sent it, and those we send ourselves.
var takenHeaders = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"TE", "Trailer", "Transfer-Encoding", "Upgrade",
	"Host", "Authorization", "Cookie", "Set-Cookie", "Expect", "Forwarded",
	"X-Request-ID", "X-Actor-ID", "X-Change-Reason",
}

// takenPrefixes begin more names of the same sort.
var takenPrefixes = []string{"Content-", "X-Forwarded-"}

// takenAlias is the taken name that some server could take name for, "" if there
// is none.
func takenAlias(name string) string {
	folded := fold(name)
	for _, taken := range takenHeaders {
		if fold(taken) == folded {
			return taken
		}
	}
	for _, prefix := range takenPrefixes {
		if strings.HasPrefix(folded, fold(prefix)) {
			return prefix + "*"
		}
	}
	return ""
}

// takenEvents are event types that the trail itself gives.
var takenEvents = []string{"auth_failure", "system", "request"}

// fold is what the header names that some server takes for one have in common:
// letters and digits without case.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, name)
}

// headers checks the names of the headers that tell the upstream who calls.
func (c checker) headers() {
	cfg := c.cfg
	c.refuse(&cfg.UserIDHeader, checkHeader(cfg.UserIDHeader))
	claims := make(map[string]string)
	headers := map[string]string{fold(cfg.UserIDHeader): c.name(&cfg.UserIDHeader)}
	for _, h := range cfg.ClaimHeaders {
		err := errors.Join(checkClaim(h.Claim), checkHeader(h.Header))
		if other, ok := claims[h.Claim]; ok && err == nil {
			err = fmt.Errorf("claim %q has two headers, %s and %s; keep one", h.Claim, other, h.Header)
		}
		if other, ok := headers[fold(h.Header)]; ok && err == nil {
			err = fmt.Errorf("header %q is an alias of %s; write another name", h.Header, other)
		}
		c.refuse(&cfg.ClaimHeaders, err)
		claims[h.Claim], headers[fold(h.Header)] = h.Header, h.Header
	}
}

// allowHeaders checks names that are refused unless they are allowed.
func (c checker) allowHeaders() {
	cfg := c.cfg
	ours := map[string]string{fold(cfg.UserIDHeader): c.name(&cfg.UserIDHeader)}
	for _, h := range cfg.ClaimHeaders {
		ours[fold(h.Header)] = h.Header
	}
	for _, name := range cfg.AllowHeaders {
		err := checkAllowed(name, c.of(&cfg.AllowHeaders).example)
		if other := cmp.Or(ours[fold(name)], takenAlias(name)); err == nil && other != "" {
			err = fmt.Errorf("header %q is an alias of %s, so clients could send that; remove it",
				name, other)
		}
		c.refuse(&cfg.AllowHeaders, err)
	}
}

// checkAllowed accepts a name that would not pass otherwise.
func checkAllowed(name, example string) error {
	switch {
	case !httpToken.MatchString(name) || fold(name) == "" || len(name) > maxName:
		return fmt.Errorf("header %s is not a name that HTTP has, %d characters at most; write e.g. %s",
			show(name), maxName, example)
	case headerName.MatchString(name):
		return fmt.Errorf("header %q has letters, digits and dashes only and passes anyway; remove it",
			name)
	}
	return nil
}

func checkHeader(name string) error {
	switch {
	case !headerName.MatchString(name) || fold(name) == "" || len(name) > maxName:
		return fmt.Errorf("header %s is not a name of letters, digits and dashes, %d at most; "+
			"write e.g. X-User-ID", show(name), maxName)
	case takenAlias(name) != "":
		return fmt.Errorf("header %q has a meaning of its own; write another name, e.g. X-User-ID", name)
	}
	return nil
}

func checkClaim(name string) error {
	if !claimName.MatchString(name) || len(name) > maxName {
		return fmt.Errorf("claim %s is not a name of printable ASCII, %d at most", show(name), maxName)
	}
	return nil
}

// events checks the names, each pattern alone, and each with those before it.
func (c checker) events() {
	events := c.cfg.Audit.Events
	for i, e := range events {
		err := checkEvent(e)
		for j := 0; j < i && err == nil; j++ {
			if checkEvent(events[j]) == nil && register(events[j].Pattern, e.Pattern) != nil {
				err = fmt.Errorf("%q and %q match the same requests, and neither is more specific; "+
					"change or remove one", events[j], e)
			}
		}
		c.refuse(&c.cfg.Audit.Events, err)
	}
}

func checkEvent(e event) error {
	switch method, _, found := strings.Cut(e.Pattern, " "); {
	case !eventName.MatchString(e.Name) || len(e.Name) > maxName:
		return fmt.Errorf("event %s is not a name of a-z, 0-9 and _, %d at most", show(e.Name), maxName)
	case slices.Contains(takenEvents, e.Name):
		return fmt.Errorf("event %q is a name that the trail gives itself; write another", e.Name)
	case found && method != strings.ToUpper(method):
		return fmt.Errorf("event %q: methods are upper case; write %s", e.Name, strings.ToUpper(method))
	}
	if err := register(e.Pattern); err != nil {
		return fmt.Errorf("event %q: %s is not a pattern (%w); write e.g. GET /jobs/{job_id}",
			e.Name, show(e.Pattern), err)
	}
	return nil
}

// register tries patterns on a mux, which panics with an error when it can't
// have one. Only what it says of a single pattern fits on a line.
func register(patterns ...string) (err error) {
	defer func() {
		if cause, ok := recover().(error); ok {
			err = errors.Unwrap(cause)
			if err == nil {
				err = errors.New("conflict")
			}
		}
	}()
	mux := http.NewServeMux()
	for _, pattern := range patterns {
		mux.Handle(pattern, http.NotFoundHandler())
	}
	return nil
}

// responseFields checks the names and their number.
func (c checker) responseFields() {
	fields := c.cfg.Audit.ResponseFields
	if len(fields) > maxResponseFields {
		c.fail(c.name(&c.cfg.Audit.ResponseFields), "%d fields are too many; write %d at most",
			len(fields), maxResponseFields)
	}
	for _, name := range fields {
		if !fieldName.MatchString(name) || len(name) > maxName {
			c.fail(c.name(&c.cfg.Audit.ResponseFields),
				"%s is not a name of letters, digits, _ . and -, %d at most", show(name), maxName)
		}
	}
}
