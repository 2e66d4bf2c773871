package main

import (
	"net/url"
	"time"
)

// clerkConfig says whose tokens are good.
type clerkConfig struct {
	// Issuer is the exact iss of a good token. Never empty after loading: it is
	// derived from PublishableKey where only that is set.
	Issuer string `env:"CLERK_ISSUER" example:"https://example.clerk.accounts.dev"`
	// PublishableKey is pk_test_… or pk_live_…; "" when only Issuer was set.
	PublishableKey string `env:"CLERK_PUBLISHABLE_KEY" example:"pk_test_…"`

	// Exactly one of PEMPublicKey, JWKSURL and JWKSFile is not "" after loading.

	// PEMPublicKey is the instance's public key, in any shape that
	// [clerk.ParsePEM] takes.
	PEMPublicKey secret `env:"CLERK_PEM_PUBLIC_KEY"`
	// JWKSURL is where keys are fetched; when no source is set, it is the
	// issuer's own.
	JWKSURL string `env:"CLERK_JWKS_URL" example:"https://keys.example.com/jwks.json"`
	// JWKSFile is a key set on disk.
	JWKSFile string `env:"CLERK_JWKS_FILE" example:"/etc/tollbook/jwks.json"`
	// JWKSRefresh is the time between two reads of the key set.
	JWKSRefresh time.Duration `env:"CLERK_JWKS_REFRESH" envDefault:"10m" min:"1s" max:"24h"`

	// Leeway is how far the clocks may be apart, for exp, iat and nbf alike.
	Leeway time.Duration `env:"CLERK_LEEWAY" envDefault:"10s" min:"0s" max:"5m"`
	// AuthorizedParties are the azp values allowed; nil: azp is not looked at.
	AuthorizedParties []string `env:"CLERK_AUTHORIZED_PARTIES" example:"https://app.example.com"`
	// AllowMissingAZP accepts tokens without azp beside AuthorizedParties.
	AllowMissingAZP bool `env:"CLERK_ALLOW_MISSING_AZP" envDefault:"false"`
	// TokenTypes are the kinds of token accepted; see acceptTemplates.
	TokenTypes string `env:"CLERK_TOKEN_TYPES" envDefault:"session" oneof:"session|session,template"`
	// AcceptPending accepts sessions whose user still owes a step.
	AcceptPending bool `env:"CLERK_ACCEPT_PENDING" envDefault:"false"`
	// Impersonation says what becomes of somebody acting as another user; see
	// denyImpersonation.
	Impersonation string `env:"CLERK_IMPERSONATION" envDefault:"allow" oneof:"allow|deny"`
	// JWTAudience is always "" after loading: setting it is a mistake.
	JWTAudience string `env:"CLERK_JWT_AUDIENCE"`

	// SecretKey is for Clerk's Backend API; "" when not set. Serving needs none.
	SecretKey secret `env:"CLERK_SECRET_KEY"`
	// APIURL is the base of Clerk's Backend API. Not nil.
	APIURL *url.URL `env:"CLERK_API_URL" envDefault:"https://api.clerk.com/v1"`
}

// acceptTemplates reports whether tokens made from a JWT template are accepted
// beside session tokens.
func (c clerkConfig) acceptTemplates() bool { return c.TokenTypes != "session" }

// denyImpersonation reports whether an impersonated session gets 403.
func (c clerkConfig) denyImpersonation() bool { return c.Impersonation == "deny" }
