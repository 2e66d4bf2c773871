package audit

// fvaField is a list of integers; an empty one is unknown.
type fvaField struct{}

func (fvaField) known(r *Record) bool { return len(r.FVA) > 0 }

func (fvaField) append(dst []byte, r *Record) []byte {
	for i, n := range r.FVA {
		dst = appendInt(append(dst, listMark(i)), n)
	}
	return append(dst, ']')
}

func (fvaField) parse(s *scanner, r *Record) error {
	r.FVA = make([]int64, 0, 2)
	for s.take(string(listMark(len(r.FVA)))) {
		n, err := s.int()
		if err != nil {
			return err
		}
		r.FVA = append(r.FVA, n)
	}
	return s.endList(len(r.FVA))
}

// listMark is what stands before the element at place i of a list.
func listMark(i int) byte {
	if i == 0 {
		return '['
	}
	return ','
}

// endList reads the end of a list of n elements, which must not be none.
func (s *scanner) endList(n int) error {
	if n == 0 {
		return s.want("[")
	}
	return s.want("]")
}

// truncatedField is a list of [Cut]; an empty one is unknown.
type truncatedField struct{}

func (truncatedField) known(r *Record) bool { return len(r.Truncated) > 0 }

func (truncatedField) append(dst []byte, r *Record) []byte {
	for i := range r.Truncated {
		dst = r.Truncated[i].append(append(dst, listMark(i)))
	}
	return append(dst, ']')
}

func (truncatedField) parse(s *scanner, r *Record) error {
	for s.take(string(listMark(len(r.Truncated)))) {
		var c Cut
		if err := c.parse(s); err != nil {
			return err
		}
		r.Truncated = append(r.Truncated, c)
	}
	return s.endList(len(r.Truncated))
}

// The names of a Cut's members, as they stand on the line.
const (
	cutBytes  = `{"bytes":`
	cutField  = `,"field":`
	cutSHA256 = `,"sha256":`
)

func (c *Cut) append(dst []byte) []byte {
	dst = appendInt(append(dst, cutBytes...), c.Bytes)
	dst = appendString(append(dst, cutField...), c.Field)
	dst = appendHash(append(dst, cutSHA256...), c.SHA256)
	return append(dst, '}')
}

func (c *Cut) parse(s *scanner) (err error) {
	if err = s.want(cutBytes); err != nil {
		return err
	}
	if c.Bytes, err = s.int(); err != nil {
		return err
	}
	if err = s.want(cutField); err != nil {
		return err
	}
	if c.Field, err = s.string(); err != nil {
		return err
	}
	if err = s.want(cutSHA256); err != nil {
		return err
	}
	if c.SHA256, err = s.hash(); err != nil {
		return err
	}
	return s.want("}")
}
