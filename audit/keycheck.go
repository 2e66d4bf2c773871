package audit

// CheckVerifierKey returns why key is no verifier key, nil if it is one.
func CheckVerifierKey(key string) error {
	_, err := parseVerifierKey(key)
	return err
}
