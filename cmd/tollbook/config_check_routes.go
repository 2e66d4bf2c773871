package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// httpToken is what a method, a header's name or a cookie's name is made of
// (RFC 9110, section 5.6.2).
var httpToken = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// neverProxied are methods that no setting can say anything about.
var neverProxied = []string{"CONNECT", "TRACE", "TRACK"}

// checkMethod accepts a method in upper case: to HTTP, get is not GET.
func checkMethod(method string) error {
	upper := strings.ToUpper(method)
	switch {
	case slices.Contains(neverProxied, upper):
		return fmt.Errorf("%s is never proxied; remove it", upper)
	case !httpToken.MatchString(method) || len(method) > maxName:
		return fmt.Errorf("%s is not a method; write e.g. GET", show(method))
	case method != upper:
		return fmt.Errorf("methods are upper case; write %s", upper)
	}
	return nil
}

// commonMethods are those of most APIs, to find a slip of the pen by.
var commonMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// likely warns of a method that is probably another, misspelt.
func (c checker) likely(field any, method string) {
	i := slices.IndexFunc(commonMethods, func(m string) bool { return distance(method, m) <= 2 })
	if i >= 0 && !slices.Contains(commonMethods, method) {
		c.warn(c.name(field), "%q is an unusual method; did you mean %s?", method, commonMethods[i])
	}
}

// reasonMethods checks that the methods can occur. One that never does would
// leave another without its reason, unseen.
func (c checker) reasonMethods() {
	field := &c.cfg.ReasonMethods
	for _, method := range *field {
		c.refuse(field, checkMethod(method))
		c.likely(field, method)
	}
}

// publicRoutes checks each pattern alone, and with those before it.
func (c checker) publicRoutes() {
	field := &c.cfg.PublicRoutes
	for i, route := range *field {
		if err := checkPublicRoute(route); err != nil {
			c.refuse(field, fmt.Errorf("route %s: %w", show(route), err))
			continue
		}
		for _, other := range (*field)[:i] {
			if checkPublicRoute(other) == nil && register(other, route) != nil {
				c.fail(c.name(field), "%q and %q match the same requests, and neither is more "+
					"specific; change or remove one", other, route)
			}
		}
		method, path, _ := strings.Cut(route, " ")
		c.likely(field, method)
		if everyPath.MatchString(path) {
			c.warn(c.name(field), "%q makes every %s public: nobody has to say who they are",
				route, method)
		}
	}
}

// everyPath matches the path of a pattern that all paths match.
var everyPath = regexp.MustCompile(`^/(\{[^/]+\.\.\.\})?$`)

// checkPublicRoute accepts METHOD /path with a path that can be read in one way
// only.
func checkPublicRoute(route string) error {
	method, path, found := strings.Cut(route, " ")
	if !found && strings.HasPrefix(route, "/") {
		return fmt.Errorf("it has no method; write e.g. GET %s", route)
	}
	if !found {
		return errors.New("it is not METHOD /path; write e.g. GET /docs/")
	}
	if err := checkMethod(method); err != nil {
		return err
	}
	if bare := strings.TrimLeft(path, " "); bare != path {
		return fmt.Errorf("one blank stands behind the method; write %s %s", method, bare)
	}
	if host, rest, found := strings.Cut(path, "/"); host != "" && found {
		return fmt.Errorf("it names a host, and clients choose the Host; write %s /%s", method, rest)
	}
	if err := checkPlainPath(path); err != nil {
		return err
	}
	if err := register(route); err != nil {
		return fmt.Errorf("it is not a pattern (%w); write e.g. GET /docs/", err)
	}
	return nil
}

// unplain is what servers read differently: some decode, cut or clean a path
// before they look at it.
var unplain = regexp.MustCompile(`//|[\\;%?#]|[^!-~]`)

// checkPlainPath accepts a path that every server takes for itself.
func checkPlainPath(path string) error {
	if strings.Contains(path, "*") {
		return errors.New("its path has a *, which matches itself alone; write {name} for one " +
			"segment, or end in a slash for all that is below")
	}
	if bad := unplain.FindString(path); bad != "" {
		return fmt.Errorf("its path has %q, which servers read differently; write a plain path "+
			"such as /docs/", bad)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("its path has the segment %q, which servers read differently; write "+
				"a plain path such as /docs/", segment)
		}
	}
	return nil
}
