package clerk

import "time"

// Session is what a verified token says. Every string in it is printable ASCII of
// at most 256 bytes without leading or trailing space (but see Email), or "" when
// the token does not say. A Session may be shared between requests: it must not
// be modified.
type Session struct {
	// UserID is sub, always user_….
	UserID string
	// SessionID is sid; "" only for template tokens.
	SessionID string
	// Email is the custom claim email, normally absent. It may hold any
	// characters, up to the length of a token, with a surrogate that lacks its pair
	// in three bytes; it identifies nobody and must not become a header as it is.
	Email string

	IssuedAt  NumericDate // iat
	ExpiresAt NumericDate // exp, before leeway
	NotBefore NumericDate // nbf; zero without one

	// Actor is who is impersonating UserID; nil without impersonation.
	Actor *Actor

	AuthorizedParty string  // azp, the browser's origin
	JWTID           string  // jti
	KeyID           string  // kid of the header
	OrgID           string  // org_id, or o.id of version 2
	FVA             []int64 // fva, minutes since each factor; nil without one

	// Claims holds those of Config.HeaderClaims the token has: strings as they
	// are, numbers as written, booleans as true or false. Nil without
	// HeaderClaims.
	Claims map[string]string
}

// Actor is the act claim: somebody who uses the session of another.
type Actor struct {
	Subject   string // act.sub, never ""
	SessionID string // act.sid
	Issuer    string // act.iss
}

// NumericDate is a moment as RFC 7519 §2 writes it. The zero value is an absent
// one.
type NumericDate struct {
	// Seconds since 1970 in UTC, rounded down; from 0 to the end of the year 9999.
	Seconds int64
	// Literal is the number as the token has it, such as "1700000000.5"; "" when
	// it is a plain integer, which Seconds holds in full.
	Literal string

	nanos int64
}

// Time returns the moment, to the nanosecond.
func (d NumericDate) Time() time.Time {
	return time.Unix(d.Seconds, d.nanos)
}
