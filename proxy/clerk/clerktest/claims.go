package clerktest

import (
	"crypto/rand"
	"time"
)

// Origin is the azp of SessionClaims.
const Origin = "https://app.example.com"

// lifetime is how long session tokens live, and backdate how far nbf lies before
// iat.
const (
	lifetime = 60 * time.Second
	backdate = 10 * time.Second
)

// SessionClaims returns the claims of a version 2 session token made at now for
// user (user_…), with an exp 60 seconds later. The map is the caller's, to change
// for a test.
func SessionClaims(issuer, user string, now time.Time) map[string]any {
	return map[string]any{
		"iss": issuer,
		"sub": user,
		"sid": "sess_" + user,
		"azp": Origin,
		"iat": now.Unix(),
		"exp": now.Add(lifetime).Unix(),
		"nbf": now.Add(-backdate).Unix(),
		"jti": rand.Text(),
		"v":   2,
		"sts": "active",
		"fva": []int{0, -1},
	}
}
