package clerk

// header is what the JOSE header (RFC 7515 §4) says that matters here. Unknown
// parameters are ignored, and so are jwk, jku, x5u and x5c: a token does not bring
// its own key.
type header struct {
	kid    string
	hasKid bool
	typ    string
	hasTyp bool
	cat    string
	hasCat bool
}

// readHeader refuses every algorithm but RS256 and every extension that would
// change what the signature means.
func readHeader(parameters []member) (header, error) {
	var h header
	var err error
	if find(parameters, "crit").kind != kindAbsent {
		return h, invalidHeader("crit is not supported")
	}
	if b64 := find(parameters, "b64"); b64.kind != kindAbsent && b64.raw != "true" {
		return h, invalidHeader("b64 is not supported")
	}
	alg := find(parameters, "alg")
	if alg.kind != kindString {
		return h, invalidHeader("alg is missing or not a string")
	}
	if unquote(alg.raw) != "RS256" {
		return h, refuse(ReasonTokenAlgUnsupported, "alg is not RS256")
	}
	for _, p := range []struct {
		name string
		text *string
		has  *bool
	}{
		{"kid", &h.kid, &h.hasKid}, {"typ", &h.typ, &h.hasTyp}, {"cat", &h.cat, &h.hasCat},
	} {
		v := find(parameters, p.name)
		if v.kind == kindAbsent {
			continue
		}
		if *p.text, err = printableText(v, p.name); err != nil {
			return h, invalidHeader(err.Error())
		}
		*p.has = true
	}
	return h, nil
}

func invalidHeader(what string) error {
	return refuse(ReasonTokenHeaderInvalid, what)
}
