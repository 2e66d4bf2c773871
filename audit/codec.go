package audit

// text is a string field; empty is unknown.
type text func(*Record) *string

func (f text) known(r *Record) bool { return *f(r) != "" }

func (f text) append(dst []byte, r *Record) []byte { return appendString(dst, *f(r)) }

func (f text) parse(s *scanner, r *Record) error {
	v, err := s.string()
	if err == nil && v == "" {
		err = errorf("an empty string, want null or no such field")
	}
	*f(r) = v
	return err
}

// number is an integer field; 0 is unknown.
type number func(*Record) *int64

func (f number) known(r *Record) bool { return *f(r) != 0 }

func (f number) append(dst []byte, r *Record) []byte { return appendInt(dst, *f(r)) }

func (f number) parse(s *scanner, r *Record) error {
	n, err := s.int()
	if err == nil && n == 0 {
		err = errorf("0, want null or no such field")
	}
	*f(r) = n
	return err
}

// hash is an always-present SHA-256.
type hash func(*Record) *Hash

func (hash) known(*Record) bool { return true }

func (f hash) append(dst []byte, r *Record) []byte { return appendHash(dst, *f(r)) }

func (f hash) parse(s *scanner, r *Record) (err error) {
	*f(r), err = s.hash()
	return err
}

func appendHash(dst []byte, h Hash) []byte {
	return append(appendHex(append(dst, '"'), h), '"')
}

// bodyBytes, bodyHash and bodyComplete are the three fields of a [Body]: all of
// them stand on the line or none.
type bodyBytes func(*Record) **Body

func (f bodyBytes) known(r *Record) bool { return *f(r) != nil }

func (f bodyBytes) append(dst []byte, r *Record) []byte { return appendInt(dst, (*f(r)).Bytes) }

func (f bodyBytes) parse(s *scanner, r *Record) error {
	n, err := s.int()
	*f(r) = &Body{Bytes: n}
	return err
}

type bodyHash func(*Record) **Body

func (f bodyHash) known(r *Record) bool { return *f(r) != nil }

func (f bodyHash) append(dst []byte, r *Record) []byte { return appendHash(dst, (*f(r)).SHA256) }

func (f bodyHash) parse(s *scanner, r *Record) (err error) {
	if *f(r) == nil {
		return errorf("stands without its length")
	}
	(*f(r)).SHA256, err = s.hash()
	return err
}

type bodyComplete func(*Record) **Body

func (f bodyComplete) known(r *Record) bool { return *f(r) != nil }

func (f bodyComplete) append(dst []byte, r *Record) []byte {
	return appendBool(dst, (*f(r)).Complete)
}

func (f bodyComplete) parse(s *scanner, r *Record) (err error) {
	if *f(r) == nil {
		return errorf("stands without its length")
	}
	(*f(r)).Complete, err = s.bool()
	return err
}

type timestampField struct{}

func (timestampField) known(*Record) bool { return true }

func (timestampField) append(dst []byte, r *Record) []byte {
	return append(appendTime(append(dst, '"'), r.Timestamp), '"')
}

func (timestampField) parse(s *scanner, r *Record) error {
	v, err := s.string()
	if err != nil {
		return err
	}
	r.Timestamp, err = parseTime(v)
	return err
}

// contemporaneousField repeats the timestamp, and must.
type contemporaneousField struct{ timestampField }

func (contemporaneousField) parse(s *scanner, _ *Record) error {
	v, err := s.string()
	if err == nil && v != s.line[len(openLine):len(openLine)+timeLen] {
		err = errorf("is not the timestamp")
	}
	return err
}

// originalField is written as the opposite of Derived.
type originalField struct{}

func (originalField) known(*Record) bool { return true }

func (originalField) append(dst []byte, r *Record) []byte { return appendBool(dst, !r.Derived) }

func (originalField) parse(s *scanner, r *Record) error {
	original, err := s.bool()
	r.Derived = !original
	return err
}

type versionField struct{}

func (versionField) known(*Record) bool { return true }

func (versionField) append(dst []byte, _ *Record) []byte { return appendInt(dst, Version) }

func (versionField) parse(s *scanner, _ *Record) error {
	v, err := s.int()
	if err == nil && v != Version {
		err = errorf("version %d is not known here, only %d is", v, Version)
	}
	return err
}

type metadataField struct{}

func (metadataField) known(*Record) bool { return true }

func (metadataField) append(dst []byte, r *Record) []byte { return r.Metadata.append(dst) }

func (metadataField) parse(s *scanner, r *Record) error {
	v, err := s.value(0)
	if err == nil && v.kind != kindObject {
		err = errorf("is not an object")
	}
	r.Metadata = v.object
	return err
}
