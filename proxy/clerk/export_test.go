package clerk

import "context"

// ScanObject reports whether the strict scanner takes data, and the decoded names
// of its members.
func ScanObject(data []byte) ([]string, error) {
	members, err := scanObject(string(data), nil)
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.name
	}
	return names, err
}

// ScanString returns what the one member of a JSON object says.
func ScanString(data []byte) (string, error) {
	members, err := scanObject(string(data), nil)
	if err != nil {
		return "", err
	}
	return unquote(members[0].value.raw), nil
}

// ParseDate exports parseDate.
func ParseDate(literal string) (NumericDate, bool) { return parseDate(literal) }

// Snapshot returns a Verify that begins with the keys held now, as a request does
// that was overtaken by a refresh.
func Snapshot(v *Verifier) func(context.Context, string) error {
	set := v.keys.held.Load().set
	return func(ctx context.Context, raw string) error {
		t, err := parseToken(raw)
		if err != nil {
			return err
		}
		return v.keys.verifyFrom(ctx, set, t)
	}
}

// MaxWaiters exports maxWaiters.
const MaxWaiters = maxWaiters
