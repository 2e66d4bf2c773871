// Package clerk decides who a Clerk session token speaks for.
//
//	parts → header → key, signature → iss → kind → times → sub, sid → sts → azp → Session
//
// The invariant: a Session is returned only for a compact JWS whose RS256
// signature was made by a key of the one configured source, whose iss is the one
// configured issuer, and which is a user's session (or, where allowed, template)
// token in force at this moment. The first step that fails is the reason; so a
// forgery is never called expired, and its sub is never taken for a user.
//
// A token never chooses its algorithm or its key: alg must be RS256, kid only
// selects among the keys already held, and jwk, jku, x5u and x5c are ignored.
// Tokens are parsed here, by exact claim names and without duplicates; jwx is used
// for its RS256 primitive and for importing keys, and by no other package.
//
// Not promised: revocation (a session signed out elsewhere stays good until its
// token's exp, a minute at most), audience (session tokens have none), and whether
// an impersonated or organisation session may do what it asks: that is for the
// caller. A flood of forged tokens can delay the pick-up of a rotated key by the
// 30 s that lie between two forced refreshes.
package clerk
