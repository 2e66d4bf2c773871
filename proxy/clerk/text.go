package clerk

import (
	"errors"
	"unicode"
	"unicode/utf8"
)

// maxText bounds the strings that are taken out of a token, in bytes.
const maxText = 256

// printableText returns what a string value says, if that is 1 to 256 bytes of
// printable ASCII without a leading or trailing space. name is for the error.
func printableText(v value, name string) (string, error) {
	if v.kind != kindString {
		return "", errors.New(name + " is not a string")
	}
	text := unquote(v.raw)
	if !printable(text) {
		return "", errors.New(name + " is not 1 to 256 printable ASCII characters")
	}
	return string(text), nil
}

// optionalText returns a member's text; "" when it is absent, null or empty.
func optionalText(members []member, name string) (string, error) {
	v := find(members, name)
	if v.kind == kindAbsent || v.kind == kindNull || string(v.raw) == `""` {
		return "", nil
	}
	text, err := printableText(v, name)
	if err != nil {
		return "", invalid(err.Error())
	}
	return text, nil
}

func printable(text []byte) bool {
	if len(text) == 0 || len(text) > maxText || text[0] == ' ' || text[len(text)-1] == ' ' {
		return false
	}
	for _, c := range text {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// displayable reports whether text is 1 to 256 bytes of UTF-8 in which every
// character has a shape of its own: no controls, no marks that turn the text
// round them.
func displayable(text []byte) bool {
	if len(text) == 0 || len(text) > maxText || !utf8.Valid(text) {
		return false
	}
	for _, r := range string(text) {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return text[0] != ' ' && text[len(text)-1] != ' '
}
