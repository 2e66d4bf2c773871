package main

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// setting is one variable, as the tags of its field describe it.
type setting struct {
	name, def, example string
	min, max           string        // "" where there is no order
	oneOf              []string      // nil: any value
	field              reflect.Value // addressable
}

// settingsOf lists the settings of the struct that ptr points to, in order.
func settingsOf(ptr any) []setting {
	return appendSettings(nil, reflect.ValueOf(ptr).Elem())
}

func appendSettings(list []setting, group reflect.Value) []setting {
	for i := range group.NumField() {
		tag := group.Type().Field(i).Tag
		name, ok := tag.Lookup("env")
		if !ok {
			list = appendSettings(list, group.Field(i))
			continue
		}
		s := setting{
			name: name, def: tag.Get("envDefault"), example: tag.Get("example"),
			min: tag.Get("min"), max: tag.Get("max"), field: group.Field(i),
		}
		if s.example == "" {
			s.example = s.def
		}
		if values, ok := tag.Lookup("oneof"); ok {
			s.oneOf = strings.Split(values, "|")
		}
		list = append(list, s)
	}
	return list
}

// settingOf is the setting whose field is given by its address.
func settingOf(settings []setting, field any) setting {
	i := slices.IndexFunc(settings, func(s setting) bool {
		return s.field.Addr().Interface() == field
	})
	return settings[i]
}

// secret reports whether the value is never shown, and has a twin.
func (s setting) secret() bool { return s.field.Type() == reflect.TypeFor[secret]() }

// names are the variables that can hold the setting.
func (s setting) names() []string {
	if s.secret() {
		return []string{s.name, s.name + twinSuffix}
	}
	return []string{s.name}
}

// values is what is set for settings, without the values that are mistakes
// already, and without any other variable: the parser also looks up names that
// it makes up for the elements of slices.
func (l *loader) values(settings []setting) map[string]string {
	values := make(map[string]string, len(settings))
	for _, s := range settings {
		if s.secret() {
			l.readTwin(s)
		}
		value, ok := l.vars[s.name]
		if !ok || l.failed(s.name) {
			continue
		}
		if err := s.checkText(value); err != nil {
			l.fail(s.name, "%v", err)
			continue
		}
		values[s.name] = value
	}
	return values
}

// readTwin takes the value of a secret from the file that its twin names.
func (l *loader) readTwin(s setting) {
	twin := s.name + twinSuffix
	path, ok := l.vars[twin]
	if !ok {
		return
	}
	if _, both := l.vars[s.name]; both {
		l.fail(s.name, "%s is set too; unset one of the two", twin)
		return
	}
	l.origin[s.name] = twin
	data, err := readBounded(inDir(l.dir, path), maxSecretFile)
	if err != nil {
		l.fail(s.name, "%v; name a file that can be read", err)
		return
	}
	value := strings.TrimRight(string(data), "\r\n")
	if value == "" {
		l.fail(s.name, "%q is empty; name a file that holds the value", path)
		return
	}
	l.vars[s.name] = value
}

// checkText finds what is wrong with the text of a value whatever its type. A
// secret is its own type's business.
func (s setting) checkText(value string) error {
	switch {
	case s.secret():
		return nil
	case quoted(value):
		return errors.New("the value stands in quotes, which docker's --env-file keeps; " +
			"remove them")
	case strings.TrimSpace(value) != value:
		return errors.New("the value begins or ends with white space; remove it")
	case strings.ContainsFunc(value, unicode.IsControl):
		return errors.New("the value holds a line break or control character; remove it")
	case secretLike(value):
		return errors.New("the value looks like a key, and is not shown; " +
			"a key has a setting of its own")
	case s.oneOf != nil && !slices.Contains(s.oneOf, value):
		return fmt.Errorf("%s is not a choice; write %s", show(value), strings.Join(s.oneOf, " or "))
	}
	return nil
}

// quoted reports whether value begins and ends with the same quote.
func quoted(value string) bool {
	n := len(value)
	return n > 1 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'')
}

// secretLike reports whether one of Clerk's secret keys or a PEM stands where
// neither belongs.
func secretLike(value string) bool {
	return strings.Contains(value, "sk_test_") || strings.Contains(value, "sk_live_") ||
		strings.Contains(value, "-----BEGIN")
}

// maxShown is how much of a bad value a message repeats.
const maxShown = 120

// show quotes a bad value for a message, or the beginning of a long one. A URL
// with what may be a password in it is not shown.
func show(value string) string {
	switch {
	case strings.Contains(value, "://") && strings.Contains(value, "@"):
		return "a URL with user info"
	case len(value) > maxShown:
		return strconv.Quote(value[:maxShown]) + "…"
	}
	return strconv.Quote(value)
}

// showURL quotes a URL without its query, which may hold a key.
func showURL(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return show(bare.String())
}
