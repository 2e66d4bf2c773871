package audit

// maxNesting is how deep objects and lists in metadata may stand in each other.
const maxNesting = 8

// value reads any value that metadata may hold.
func (s *scanner) value(depth int) (Value, error) {
	if depth > maxNesting {
		return Value{}, errorf("nested deeper than %d at byte %d", maxNesting, s.pos)
	}
	switch s.peek() {
	case '"':
		v, err := s.string()
		return String(v), err
	case '{':
		o, err := s.object(depth)
		return Nested(o), err
	case '[':
		return s.list(depth)
	case 't', 'f':
		b, err := s.bool()
		return Bool(b), err
	case 'n':
		return Value{}, s.want("null")
	default:
		n, err := s.int()
		return Int(n), err
	}
}

func (s *scanner) list(depth int) (Value, error) {
	outer := len(s.values)
	s.pos++
	for !s.take("]") {
		if len(s.values) > outer {
			if err := s.want(","); err != nil {
				return Value{}, err
			}
		}
		e, err := s.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		s.values = append(s.values, e)
	}
	list := append([]Value(nil), s.values[outer:]...)
	clear(s.values[outer:])
	s.values = s.values[:outer]
	return List(list...), nil
}

// object reads members in byte order of their names, none twice.
func (s *scanner) object(depth int) (Object, error) {
	outer := len(s.members)
	s.pos++
	for !s.take("}") {
		if len(s.members) > outer {
			if err := s.want(","); err != nil {
				return nil, err
			}
		}
		m, err := s.member(depth)
		if err != nil {
			return nil, err
		}
		if len(s.members) > outer && m.Name <= s.members[len(s.members)-1].Name {
			return nil, errorf("a name twice or out of order before byte %d", s.pos)
		}
		s.members = append(s.members, m)
	}
	o := append(Object(nil), s.members[outer:]...)
	clear(s.members[outer:])
	s.members = s.members[:outer]
	return o, nil
}

func (s *scanner) member(depth int) (m Member, err error) {
	if m.Name, err = s.string(); err != nil {
		return m, err
	}
	if err = s.want(":"); err != nil {
		return m, err
	}
	m.Value, err = s.value(depth + 1)
	return m, err
}
