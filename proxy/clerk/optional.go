package clerk

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// maxFactors is more entries than fva has, which is two.
const maxFactors = 8

// others reads the claims that do not decide. They are checked all the same: what
// is recorded as a fact must be one.
func (j *judgement) others(time.Time) error {
	s := j.session
	var errs [6]error
	errs[0] = j.audience()
	errs[1] = j.actor()
	s.JWTID, errs[2] = j.optional("jti")
	s.OrgID, errs[3] = j.organisation("org_id")
	errs[4] = j.email()
	errs[5] = j.factors()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// audience checks the type of aud (RFC 7519 §4.1.3). Its content is not compared:
// session tokens have none.
func (j *judgement) audience() error {
	v := find(j.claims, "aud")
	switch v.kind {
	case kindAbsent, kindString:
		return nil
	case kindArray:
		if allStrings(v) {
			return nil
		}
	}
	return invalid("aud is neither a string nor an array of strings")
}

func allStrings(array value) bool {
	elements, ok := scanArray(array.raw, maxToken)
	for _, e := range elements {
		ok = ok && e.kind == kindString
	}
	return ok
}

// actor reads act. One that cannot be read is refused: an impersonation must not
// pass for the user.
func (j *judgement) actor() error {
	v := find(j.claims, "act")
	if v.kind == kindAbsent || v.kind == kindNull {
		return nil
	}
	members, err := scanObject(v.raw, nil)
	if err != nil {
		return invalid("act " + err.Error())
	}
	var a Actor
	var errs [3]error
	a.Subject, errs[0] = optionalText(members, "sub")
	a.SessionID, errs[1] = optionalText(members, "sid")
	a.Issuer, errs[2] = optionalText(members, "iss")
	if errors.Join(errs[:]...) != nil || a.Subject == "" {
		return invalid("act does not name who is acting")
	}
	j.session.Actor = &a
	return nil
}

func (j *judgement) email() error {
	v := find(j.claims, "email")
	if v.kind == kindAbsent || v.kind == kindNull || v.raw == `""` {
		return nil
	}
	if v.kind != kindString {
		return invalid("email is not a string")
	}
	j.session.Email = strings.Clone(unquote(v.raw))
	return nil
}

// factors reads fva: minutes since each factor was verified, -1 for never.
func (j *judgement) factors() error {
	v := find(j.claims, "fva")
	if v.kind == kindAbsent || v.kind == kindNull {
		return nil
	}
	ages, ok := integers(v)
	if !ok {
		return invalid("fva is not a short array of integers")
	}
	j.session.FVA = ages
	return nil
}

func integers(v value) ([]int64, bool) {
	if v.kind != kindArray {
		return nil, false
	}
	elements, ok := scanArray(v.raw, maxFactors)
	list := make([]int64, len(elements))
	for i, e := range elements {
		n, err := strconv.ParseInt(e.raw, 10, 64)
		ok = ok && err == nil
		list[i] = n
	}
	return list, ok
}
