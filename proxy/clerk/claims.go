package clerk

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// The token categories of Clerk's header parameter cat.
const (
	catSession  = "cl_B7d4PD111AAA"
	catUnknown  = "cl_I7d4PD111III" // "no information"
	catTemplate = "cl_B7d4PD222AAA"
	catMachine  = "cl_B7d4PD333AAA"
)

// judgement is the trial of one token whose signature is good.
type judgement struct {
	*token
	cfg     *Config
	session *Session
}

// steps are the questions in the order in which they are asked. Each reads its
// claims into the session as far as they are valid.
var steps = [...]func(*judgement, time.Time) error{
	(*judgement).kind,
	(*judgement).times,
	(*judgement).subject,
	(*judgement).sessionID,
	(*judgement).status,
	(*judgement).party,
	(*judgement).others,
	(*judgement).headers,
}

// judge returns the session the claims make, or the first thing wrong with them.
// All steps run in either case, so that a refusal names whose token it was.
func (c *Config) judge(t *token, now time.Time) (*Session, error) {
	if iss := find(t.claims, "iss"); iss.kind != kindString ||
		unquote(iss.raw) != c.Issuer {
		return nil, refuse(ReasonTokenIssuerInvalid, "")
	}
	j := &judgement{token: t, cfg: c, session: &Session{KeyID: t.header.kid}}
	var refused *TokenError
	for _, step := range steps {
		if err := step(j, now); err != nil && refused == nil {
			errors.As(err, &refused)
		}
	}
	if refused != nil {
		refused.Session = j.session
		return nil, refused
	}
	return j.session, nil
}

// kind refuses what the instance's key also signs but no user's session made.
func (j *judgement) kind(time.Time) error {
	h := &j.header
	switch {
	case h.hasTyp && (h.typ == "at+jwt" || h.typ == "application/at+jwt"):
		return refuse(ReasonTokenKindRefused, "an OAuth access token is not a session token")
	case h.hasTyp && h.typ != "JWT":
		return refuse(ReasonTokenKindRefused, "typ is not JWT")
	case h.cat == catMachine || strings.HasPrefix(j.rawText("sub"), "mch_"):
		return refuse(ReasonTokenKindRefused,
			"a machine-to-machine token is not a session token")
	case h.cat == catTemplate && !j.cfg.AcceptTemplates:
		return refuse(ReasonTokenKindRefused,
			"JWT template tokens are not accepted (CLERK_TOKEN_TYPES)")
	case h.hasCat && !slices.Contains([]string{catSession, catUnknown, catTemplate}, h.cat):
		return refuse(ReasonTokenKindRefused, "cat is not that of a session token")
	}
	return nil
}

// times reads exp, nbf and iat and asks whether now lies between them.
func (j *judgement) times(now time.Time) error {
	s := j.session
	for _, claim := range []struct {
		name     string
		date     *NumericDate
		required bool
	}{
		{"exp", &s.ExpiresAt, true}, {"nbf", &s.NotBefore, false}, {"iat", &s.IssuedAt, true},
	} {
		v := find(j.claims, claim.name)
		if v.kind == kindAbsent && !claim.required {
			continue
		}
		if v.kind == kindAbsent {
			return invalid(claim.name + " is missing")
		}
		var ok bool
		if v.kind == kindNumber {
			*claim.date, ok = parseDate(v.raw)
		}
		if !ok {
			return invalid(claim.name + " is not a number of seconds between 1970 and 9999")
		}
	}
	return s.inForce(now, j.cfg.Leeway)
}

// inForce reports whether now lies within the session's times, which may change
// from one use of the same token to the next.
func (s *Session) inForce(now time.Time, leeway time.Duration) error {
	latest := now.Add(leeway)
	switch {
	case !now.Before(s.ExpiresAt.Time().Add(leeway)):
		return refuse(ReasonTokenExpired, "")
	case s.NotBefore.Time().After(latest), s.IssuedAt.Time().After(latest):
		return refuse(ReasonTokenNotYetValid, "")
	}
	return nil
}

func (j *judgement) subject(time.Time) error {
	v := find(j.claims, "sub")
	if v.kind == kindAbsent || v.kind == kindNull || v.raw == `""` {
		return refuse(ReasonTokenSubjectMissing, "")
	}
	sub, err := printableText(v, "sub")
	if err != nil {
		return invalid(err.Error())
	}
	if len(sub) <= len("user_") || !strings.HasPrefix(sub, "user_") || strings.Contains(sub, " ") {
		return invalid("sub is not a user id (user_…)")
	}
	j.session.UserID = sub
	return nil
}

func (j *judgement) sessionID(time.Time) error {
	v := find(j.claims, "sid")
	switch {
	case v.kind == kindAbsent && j.cfg.AcceptTemplates && j.header.cat == catTemplate:
		return nil
	case v.kind == kindAbsent || v.kind == kindNull || v.raw == `""`:
		return refuse(ReasonTokenSessionMissing, "sid is missing: not a session token")
	}
	sid, err := printableText(v, "sid")
	if err != nil {
		return invalid(err.Error())
	}
	j.session.SessionID = sid
	return nil
}

// status refuses a session whose user still owes a step.
func (j *judgement) status(time.Time) error {
	switch sts, err := j.optional("sts"); {
	case err != nil:
		return err
	case sts == "" || sts == "active":
		return nil
	case sts != "pending":
		return invalid("sts is neither active nor pending")
	case !j.cfg.AcceptPending:
		return refuse(ReasonTokenPending, "the session is pending: its user still owes a step")
	}
	return nil
}

// party asks whether the token was made for an origin of ours.
func (j *judgement) party(time.Time) error {
	azp, err := j.optional("azp")
	if err != nil {
		return err
	}
	j.session.AuthorizedParty = azp
	switch allowed := j.cfg.AuthorizedParties; {
	case len(allowed) == 0:
		return nil
	case azp == "" && j.cfg.AllowMissingAZP:
		return nil
	case azp == "":
		return refuse(ReasonTokenAZPMissing,
			"azp is missing (CLERK_ALLOW_MISSING_AZP accepts tokens without it)")
	case !slices.Contains(allowed, azp):
		return refuse(ReasonTokenAZPInvalid, "azp is not an authorized party")
	}
	return nil
}

// invalid refuses a claim of a wrong type or form.
func invalid(what string) error {
	return refuse(ReasonTokenClaimInvalid, what)
}

// rawText returns the text of a string claim, whatever is in it; "" without one.
func (j *judgement) rawText(name string) string {
	if v := find(j.claims, name); v.kind == kindString {
		return unquote(v.raw)
	}
	return ""
}

// optional returns a claim that may be missing, null or empty, all of which are
// "", but must be a printable string if it says anything.
func (j *judgement) optional(name string) (string, error) {
	return optionalText(j.claims, name)
}
