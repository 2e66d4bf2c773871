package audit

// A Column is a field of a record, for a table.
type Column struct {
	Name string
	// Text says that the field holds text, which may come from outside and hold
	// any bytes. The others are numbers, booleans, hashes, times and JSON.
	Text  bool
	field field
}

// Columns returns all fields of a record in the order of the format. Fields that
// this version does not know have no column: see [Record.Unknown].
func Columns() []Column {
	columns := make([]Column, len(fields))
	for i, f := range fields {
		_, isText := f.codec.(text)
		columns[i] = Column{Name: f.name, Text: isText, field: f}
	}
	return columns
}

// Of returns the field of r: a text with the bytes as they came, anything else as
// on the line but for quotes around it. It returns "" if the field is unknown.
func (c Column) Of(r *Record) string {
	if f, isText := c.field.codec.(text); isText {
		return *f(r)
	}
	if !c.field.known(r) {
		return ""
	}
	value := c.field.append(nil, r)
	if value[0] == '"' { // a hash or a time: nothing in it is escaped
		value = value[1 : len(value)-1]
	}
	return string(value)
}
