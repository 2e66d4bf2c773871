package clerk

import (
	"errors"
	"strings"
)

// maxText bounds the strings that are taken out of a token, in bytes.
const maxText = 256

// printableText returns what a string value says, if that is 1 to 256 bytes of
// printable ASCII without a leading or trailing space. name is for the error. The
// string is a copy, so that it does not keep the token in memory.
func printableText(v value, name string) (string, error) {
	if v.kind != kindString {
		return "", errors.New(name + " is not a string")
	}
	text := unquote(v.raw)
	if !printable(text) {
		return "", errors.New(name + " is not 1 to 256 printable ASCII characters")
	}
	return strings.Clone(text), nil
}

// optionalText returns a member's text; "" when it is absent, null or empty.
func optionalText(members []member, name string) (string, error) {
	v := find(members, name)
	if v.kind == kindAbsent || v.kind == kindNull || v.raw == `""` {
		return "", nil
	}
	text, err := printableText(v, name)
	if err != nil {
		return "", invalid(err.Error())
	}
	return text, nil
}

func printable(text string) bool {
	if len(text) == 0 || len(text) > maxText || text[0] == ' ' || text[len(text)-1] == ' ' {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
