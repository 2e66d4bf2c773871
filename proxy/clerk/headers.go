package clerk

import (
	"strconv"
	"strings"
	"time"
)

// orgClaims maps the organisation claims of version 1 to their names in the
// object o of version 2.
var orgClaims = map[string]string{
	"org_id": "id", "org_role": "rol", "org_slug": "slg",
}

const (
	// maxPermissions bounds the parts of the lists per, fpm and fea.
	maxPermissions = 64
	// rolePrefix is what version 2 leaves out of a role.
	rolePrefix = "org:"
)

// headers copies the claims that become headers.
func (j *judgement) headers(time.Time) error {
	if len(j.cfg.HeaderClaims) == 0 {
		return nil
	}
	j.session.Claims = make(map[string]string, len(j.cfg.HeaderClaims))
	var first error
	for _, name := range j.cfg.HeaderClaims {
		text, present, err := j.headerClaim(name)
		if err != nil && first == nil {
			first = err
		}
		if err == nil && present {
			j.session.Claims[name] = text
		}
	}
	return first
}

// headerClaim returns the text of a claim; not present when it is absent or null.
func (j *judgement) headerClaim(name string) (text string, present bool, err error) {
	if name == "org_permissions" {
		text, err = j.permissions()
		return text, text != "", err
	}
	if _, ok := orgClaims[name]; ok {
		text, err = j.organisation(name)
		return text, text != "", err
	}
	v := find(j.claims, name)
	switch v.kind {
	case kindAbsent, kindNull:
		return "", false, nil
	case kindBool:
		return strings.Clone(v.raw), true, nil
	case kindNumber:
		if len(v.raw) <= maxText {
			return strings.Clone(v.raw), true, nil
		}
	case kindString:
		if v.raw == `""` {
			return "", true, nil
		}
		text, textErr := printableText(v, "a claim that becomes a header")
		if textErr == nil {
			return text, true, nil
		}
	case kindArray, kindObject:
		return "", false, invalid("a claim that becomes a header is an array or object")
	}
	return "", false, invalid("a claim that becomes a header is not printable ASCII, " +
		"or longer than 256 bytes")
}

// organisation returns an organisation claim, by its version 1 name.
func (j *judgement) organisation(name string) (string, error) {
	if !j.isVersion2() {
		return j.optional(name)
	}
	o, err := j.orgObject()
	if err != nil {
		return "", err
	}
	text, err := optionalText(o, orgClaims[name])
	if err == nil && name == "org_role" && text != "" {
		text = rolePrefix + text
	}
	return text, err
}

// isVersion2 reports which form the organisation claims have. Only the token says
// so: a claim of the other version's name would be a custom one.
func (j *judgement) isVersion2() bool {
	return find(j.claims, "v").raw == "2"
}

// orgObject returns the members of o; none without an active organisation.
func (j *judgement) orgObject() ([]member, error) {
	o := find(j.claims, "o")
	if o.kind == kindAbsent || o.kind == kindNull {
		return nil, nil
	}
	members, err := scanObject(o.raw, make([]member, 0, len(orgClaims)+1))
	if err != nil {
		return nil, invalid("o " + err.Error())
	}
	return members, nil
}

// permissions returns the permissions in the organisation, joined by commas.
func (j *judgement) permissions() (string, error) {
	var list []string
	var ok bool
	if j.isVersion2() {
		list, ok = j.featurePermissions()
	} else {
		list, ok = textList(find(j.claims, "org_permissions"))
	}
	joined := strings.Join(list, ",")
	if !ok || joined != "" && !printable(joined) {
		return "", invalid("the organisation's permissions are malformed or longer than 256 bytes")
	}
	return joined, nil
}

// textList returns the strings of an array of version 1 permissions.
func textList(v value) ([]string, bool) {
	if v.kind == kindAbsent || v.kind == kindNull {
		return nil, true
	}
	if v.kind != kindArray {
		return nil, false
	}
	elements, ok := scanArray(v.raw, maxPermissions)
	list := make([]string, 0, len(elements))
	for _, e := range elements {
		text, err := printableText(e, "")
		ok = ok && err == nil && !strings.Contains(text, ",")
		list = append(list, text)
	}
	return list, ok
}

// featurePermissions spells out version 2's compressed form: o.fpm has a number
// for each feature of fea that is the organisation's, and bit i of it grants
// permission i of o.per.
func (j *judgement) featurePermissions() ([]string, bool) {
	o, err := j.orgObject()
	if err != nil {
		return nil, false
	}
	per, perErr := optionalText(o, "per")
	fpm, fpmErr := optionalText(o, "fpm")
	fea, feaErr := j.optional("fea")
	if perErr != nil || fpmErr != nil || feaErr != nil {
		return nil, false
	}
	if per == "" || fpm == "" {
		return nil, true
	}
	names, features := strings.Split(per, ","), orgFeatures(fea)
	var list []string
	for i, number := range strings.Split(fpm, ",") {
		granted, err := strconv.ParseUint(number, 10, maxPermissions)
		if err != nil || i >= len(features) || granted>>len(names) != 0 {
			return nil, false
		}
		for bit, name := range names {
			if granted>>bit&1 == 1 {
				list = append(list, rolePrefix+features[i]+":"+name)
			}
		}
	}
	return list, true
}

// orgFeatures returns the names of those features of fea whose scope holds the
// organisation ("o:name", or "uo:name" together with the user's).
func orgFeatures(fea string) []string {
	var names []string
	for feature := range strings.SplitSeq(fea, ",") {
		if scope, name, ok := strings.Cut(feature, ":"); ok && strings.Contains(scope, "o") {
			names = append(names, name)
		}
	}
	return names
}
