package proxy

import (
	"net/http"
	"strings"

	"tollbook/audit"
	"tollbook/proxy/clerk"
)

// describeRequest fills the record with what the request itself says.
func (x *exchange) describeRequest() {
	r := x.r
	path, query := rawTarget(r)
	x.record = audit.Record{
		RequestID:       newRequestID(),
		ClientRequestID: strings.Join(r.Header[headerRequestID], ", "),
		ChangeReason:    strings.Join(r.Header[headerChangeReason], ", "),
		Method:          r.Method,
		Host:            r.Host,
		Proto:           r.Proto,
		Path:            path,
		Query:           maskQuery(query),
		UserAgent:       r.UserAgent(),
		IPAddress:       x.arrival.client,
		PeerIP:          textOf(parseIP(r.RemoteAddr)),
	}
	x.h.events.describe(&x.record, r)
}

// describeSession adds who asks.
func describeSession(r *audit.Record, s *clerk.Session) {
	r.UserID, r.UserEmail, r.SessionID = s.UserID, s.Email, s.SessionID
	r.TokenIAT = s.IssuedAt.Seconds
	r.JWTID, r.KeyID, r.AZP, r.OrgID, r.FVA = s.JWTID, s.KeyID, s.AuthorizedParty, s.OrgID, s.FVA
	if s.Actor != nil {
		r.ActorID, r.ActorSessionID = s.Actor.Subject, s.Actor.SessionID
	}
	if s.ExpiresAt.Seconds != 0 {
		r.Metadata = append(r.Metadata,
			audit.Member{Name: "token_exp", Value: audit.Int(s.ExpiresAt.Seconds)})
	}
	r.Metadata = appendLiteral(r.Metadata, "token_exp_literal", s.ExpiresAt)
	r.Metadata = appendLiteral(r.Metadata, "token_iat_literal", s.IssuedAt)
}

// appendLiteral keeps the time as the token has it where the seconds lose some
// of it.
func appendLiteral(o audit.Object, name string, d clerk.NumericDate) audit.Object {
	if d.Literal == "" {
		return o
	}
	return append(o, audit.Member{Name: name, Value: audit.String(d.Literal)})
}

// masked stands for the value of a secret.
const masked = "***"

// maskQuery replaces the values of parameters that hold secrets by their names.
// Everything else stays, to the byte. Some upstreams part parameters at a
// semicolon too: a name may follow one, and a secret goes on behind it.
func maskQuery(query string) string {
	if !strings.Contains(query, "=") {
		return query
	}
	var out strings.Builder
	for rest := query; rest != ""; {
		param := upTo(rest, "&;")
		if name, _, found := strings.Cut(param, "="); found && isSecret(name) {
			out.WriteString(name + "=" + masked)
			param = upTo(rest, "&")
		} else {
			out.WriteString(param)
		}
		rest = rest[len(param):]
		if rest != "" {
			out.WriteByte(rest[0])
			rest = rest[1:]
		}
	}
	return out.String()
}

// upTo returns what stands before the first of the separators.
func upTo(s, separators string) string {
	if i := strings.IndexAny(s, separators); i >= 0 {
		return s[:i]
	}
	return s
}

// isSecret judges a parameter's name as an upstream may read it: unescaped, in
// any case, a dash like an underscore.
func isSecret(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(unescapeName(name)), "-", "_")
	switch name {
	case "token", "key", "api_key", "secret", "password", "code", "sig", "session", "jwt":
		return true
	default:
		return strings.HasSuffix(name, "_token")
	}
}

func unescapeName(name string) string {
	if !strings.Contains(name, "%") {
		return name
	}
	var out []byte
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && i+2 < len(name) && isHex(name[i+1]) && isHex(name[i+2]) {
			out = append(out, unhex(name[i+1])<<4|unhex(name[i+2]))
			i += 2
			continue
		}
		out = append(out, name[i])
	}
	return string(out)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}

var _ http.Handler = (*Handler)(nil)
