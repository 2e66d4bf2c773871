package clerk

import "errors"

// The reasons a token is refused for. They are stable: clients, metrics and the
// audit trail match on them.
//
//nolint:gosec // names of reasons, not credentials
const (
	ReasonTokenMissing          = "token_missing"           // no Authorization header, no token
	ReasonTokenMalformed        = "token_malformed"         // not one JWS in one Bearer header
	ReasonTokenTooLarge         = "token_too_large"         // more than 16 KiB
	ReasonTokenHeaderInvalid    = "token_header_invalid"    // crit, b64, a parameter of a wrong type
	ReasonTokenAlgUnsupported   = "token_alg_unsupported"   // alg other than RS256
	ReasonTokenKeyUnknown       = "token_key_unknown"       // kid not in the key set
	ReasonTokenSignatureInvalid = "token_signature_invalid" // no candidate key made the signature
	ReasonTokenIssuerInvalid    = "token_issuer_invalid"    // iss other than ours
	ReasonTokenKindRefused      = "token_kind_refused"      // machine, OAuth, template … token
	ReasonTokenExpired          = "token_expired"           // now ≥ exp + leeway
	ReasonTokenNotYetValid      = "token_not_yet_valid"     // iat or nbf > now + leeway
	ReasonTokenSubjectMissing   = "token_subject_missing"   // no sub
	ReasonTokenSessionMissing   = "token_session_missing"   // no sid
	ReasonTokenPending          = "token_pending"           // sts pending
	ReasonTokenAZPMissing       = "token_azp_missing"       // no azp although parties are set
	ReasonTokenAZPInvalid       = "token_azp_invalid"       // azp not among the parties
	ReasonTokenClaimInvalid     = "token_claim_invalid"     // a claim of a wrong type or form
	reasonKeysUnavailable       = "keys_unavailable"        // ErrKeysUnavailable
)

// Reasons returns all of them, and "keys_unavailable": what [Reason] can return for
// an error of this package.
func Reasons() []string {
	return []string{
		ReasonTokenMissing, ReasonTokenMalformed, ReasonTokenTooLarge, ReasonTokenHeaderInvalid,
		ReasonTokenAlgUnsupported, ReasonTokenKeyUnknown, ReasonTokenSignatureInvalid,
		ReasonTokenIssuerInvalid, ReasonTokenKindRefused, ReasonTokenExpired,
		ReasonTokenNotYetValid, ReasonTokenSubjectMissing, ReasonTokenSessionMissing,
		ReasonTokenPending, ReasonTokenAZPMissing, ReasonTokenAZPInvalid, ReasonTokenClaimInvalid,
		reasonKeysUnavailable,
	}
}

// What clients read. They match on these words.
const (
	validationFailed     = "Token validation failed: "
	detailMissing        = "Not authenticated"
	detailExpired        = "Token expired"
	detailNotYetValid    = validationFailed + "The token is not yet valid"
	detailSignature      = "Invalid token signature"
	detailIssuer         = "Invalid token issuer"
	detailSubjectMissing = "Invalid token: missing user identifier"
)

// ErrKeysUnavailable is returned by Verify for a token that would need a key
// while there is none to trust: none was ever fetched, or the last good fetch is
// more than 24 hours ago. It is our fault, not the token's (HTTP 503). Ready says
// why.
var ErrKeysUnavailable = errors.New("clerk: authentication keys unavailable")

// TokenError says why a token was refused. It holds nothing of the token but,
// in Session, what a good signature vouches for.
type TokenError struct {
	// Reason is one of the Reason constants.
	Reason string
	// Detail is the sentence for the client, such as "Token expired".
	Detail string
	// Session is what the token says, as far as it is valid, so that the trail
	// can name whose token was refused. It is nil unless the signature and the
	// issuer were good, and it never authorises anything.
	Session *Session
}

// Error returns the reason and the detail. It is safe to log and to send.
func (e *TokenError) Error() string {
	return "clerk: " + e.Reason + ": " + e.Detail
}

// Reason returns the stable code of an error from Verify or BearerToken: a
// TokenError's Reason, "keys_unavailable" for ErrKeysUnavailable, "" for nil and
// for anything else.
func Reason(err error) string {
	var refused *TokenError
	switch {
	case errors.As(err, &refused):
		return refused.Reason
	case errors.Is(err, ErrKeysUnavailable):
		return reasonKeysUnavailable
	}
	return ""
}

// refuse makes a TokenError; what completes "Token validation failed: " for those
// reasons that have no sentence of their own.
func refuse(reason, what string) error {
	return &TokenError{Reason: reason, Detail: detail(reason, what)}
}

func detail(reason, what string) string {
	switch reason {
	case ReasonTokenMissing:
		return detailMissing
	case ReasonTokenExpired:
		return detailExpired
	case ReasonTokenNotYetValid:
		return detailNotYetValid
	case ReasonTokenSignatureInvalid:
		return detailSignature
	case ReasonTokenIssuerInvalid:
		return detailIssuer
	case ReasonTokenSubjectMissing:
		return detailSubjectMissing
	}
	return validationFailed + what
}
