package audit

import (
	"encoding/base64"
	"strings"
)

// redactedToken stands where a token was.
const redactedToken = "[token]"

// redact replaces every compact JWS in the record's texts, wherever it came
// from: no token is ever on disk. It changes r and nothing that r shares.
func (r *Record) redact() {
	for i := range fields {
		if value, isText := fields[i].codec.(text); isText {
			*value(r) = redactTokens(*value(r))
		}
	}
	r.Metadata = r.Metadata.redact()
}

func (o Object) redact() Object {
	for i := range o {
		v := o[i].Value.redact()
		if v.kind == kindString && v.str == o[i].Value.str {
			continue
		}
		if v.kind == kindString || v.kind == kindList || v.kind == kindObject {
			o = append(Object(nil), o...)
			o[i].Value = v
		}
	}
	return o
}

func (v Value) redact() Value {
	switch v.kind {
	case kindString:
		v.str = redactTokens(v.str)
	case kindList:
		list := make([]Value, len(v.list))
		for i, e := range v.list {
			list[i] = e.redact()
		}
		v.list = list
	case kindObject:
		v.object = v.object.redact()
	}
	return v
}

// redactTokens replaces each compact JWS (RFC 7515 §3.1) or JWE in s: three to
// five runs of base64url with dots between them, the first of which ends in the
// base64url of a JSON object. What stands before that object in its run stays:
// "%20eyJ…" is a token after a space. A dot may be percent-encoded. Linear in s.
func redactTokens(s string) string {
	const shortest = len("eyJhIjoxfQ.e30.")
	if len(s) < shortest || !strings.Contains(s, "ey") && !strings.Contains(s, "ew") {
		return s
	}
	var out strings.Builder
	kept := 0
	for at := 0; at < len(s); {
		run := base64Run(s[at:])
		if run == 0 {
			at++
			continue
		}
		end := tokenEnd(s, at+run)
		if header := headerStart(s[at : at+run]); end > 0 && header >= 0 {
			out.WriteString(s[kept : at+header])
			out.WriteString(redactedToken)
			at, kept = end, end
			continue
		}
		at += run
	}
	if kept == 0 {
		return s
	}
	out.WriteString(s[kept:])
	return out.String()
}

// headerStart returns where in the run the base64url of a JSON object begins
// that reaches to its end, -1 if none does.
func headerStart(run string) int {
	for i := 0; i+4 <= len(run); i++ {
		if run[i] != 'e' || run[i+1] != 'y' && run[i+1] != 'w' { // `{"`, `{ ` or a line break
			continue
		}
		last := run[i+(len(run)-i-1)/4*4:]
		tail, err := base64.RawURLEncoding.DecodeString(last)
		if err == nil && len(tail) > 0 && tail[len(tail)-1] == '}' {
			return i
		}
	}
	return -1
}

// tokenEnd returns where the token ends whose first part ends at end, 0 if what
// follows makes no token.
func tokenEnd(s string, end int) int {
	parts, second := 1, 0
	for ; parts < 5; parts++ {
		dot := dotLen(s[end:])
		if dot == 0 {
			break
		}
		run := base64Run(s[end+dot:])
		if parts == 1 {
			second = run
		}
		end += dot + run
	}
	directJWE := parts == 5 && second == 0 // RFC 7516 §7.1: no key is sent
	if parts < 3 || second < 2 && !directJWE {
		return 0
	}
	return end
}

func base64Run(s string) int {
	i := 0
	for i < len(s) && isBase64URL(s[i]) {
		i++
	}
	return i
}

func isBase64URL(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func dotLen(s string) int {
	switch {
	case strings.HasPrefix(s, "."):
		return 1
	case len(s) >= 3 && strings.EqualFold(s[:3], "%2e"):
		return 3
	default:
		return 0
	}
}
