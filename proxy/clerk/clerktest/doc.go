// Package clerktest is a stand-in for Clerk: it makes keys, signs tokens, and
// serves key sets over HTTP on a loopback address, well or badly on request. Tests
// and the demo use it; it verifies nothing and needs no *testing.T.
//
//	NewKey → Key.Sign(SessionClaims(…)) → token;  NewServer(keys…) → Issuer, JWKSURL
//
// Keys are made at run time and never leave the process but as public keys.
package clerktest
