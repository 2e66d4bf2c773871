package proxy

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"tollbook/proxy/clerk"
)

// identify finds out who asks; no session for a route that needs none. The reply
// says why it can't be.
func (x *exchange) identify() (*clerk.Session, *reply) {
	switch x.class {
	case RoutePublic:
		return nil, nil
	case RoutePreflight:
		if !x.h.ForwardPreflights {
			return nil, &replyPreflightDenied
		}
		return nil, nil
	}
	session, err := x.authenticate()
	if err != nil {
		rep := x.h.authReply(err)
		return nil, &rep
	}
	return session, nil
}

// authenticate finds the token and verifies it. A session whose token was
// refused is recorded only as far as its signature and issuer were good.
func (x *exchange) authenticate() (*clerk.Session, error) {
	token, err := x.token()
	if err != nil {
		return nil, err
	}
	x.record.TokenSHA256 = hashText(token)
	session, err := x.h.Verifier.Verify(x.r.Context(), token)
	if err != nil {
		if refused, ok := errors.AsType[*clerk.TokenError](err); ok {
			x.late(refused)
			if refused.Session != nil {
				describeSession(&x.record, refused.Session)
			}
		}
		return nil, err
	}
	describeSession(&x.record, session)
	return session, nil
}

// late measures by how much an expired token was too late: users whose clocks or
// habits are off can be told from attackers.
func (x *exchange) late(refused *clerk.TokenError) {
	if refused.Reason == clerk.ReasonTokenExpired && refused.Session != nil {
		x.h.Metrics.ExpiredLate(x.start.Sub(refused.Session.ExpiresAt.Time().Add(x.h.Leeway)))
	}
}

// token returns the one that the request shows: in the header, or, only where
// there is no such header, in the cookie.
func (x *exchange) token() (string, error) {
	header := x.r.Header
	if x.h.TokenCookie == "" || len(header["Authorization"]) > 0 {
		return clerk.BearerToken(header)
	}
	x.byCookie = true
	return clerk.CookieToken(header, x.h.TokenCookie)
}

// policy decides what a verified user may not do.
func (x *exchange) policy(session *clerk.Session) *reply {
	switch {
	case session == nil:
		return nil
	case x.byCookie && x.h.crossSite(x.r):
		return &replyCrossSite
	case x.h.DenyImpersonation && session.Actor != nil:
		return &replyImpersonationDenied
	case blank(x.record.ChangeReason) && containsFold(x.h.ReasonMethods, x.r.Method):
		return &replyReasonRequired
	}
	return nil
}

// blank reports whether a list has nothing in it: two empty headers make a comma.
func blank(list string) bool {
	return strings.TrimFunc(list, func(c rune) bool { return c == ',' || unicode.IsSpace(c) }) == ""
}

// containsFold finds a method in any case: some servers take them so.
func containsFold(methods []string, method string) bool {
	return slices.ContainsFunc(methods, func(m string) bool { return strings.EqualFold(m, method) })
}

// admit decides whether there is room for the request, and for its body.
func (x *exchange) admit() *reply {
	switch {
	case x.h.MaxBodyBytes > 0 && x.r.ContentLength > x.h.MaxBodyBytes:
		return &replyTooLarge
	case !x.enter():
		return &replyOverloaded
	}
	return nil
}

// isAuthFailure reports whether a refusal is about who asks.
func isAuthFailure(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}
