package proxy

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"tollbook/proxy/clerk"
)

// A reply is one of our own. Its reason is stable: clients, metrics and the trail
// know it.
type reply struct {
	status         int
	detail, reason string
}

// The replies that don't depend on the request. The words are those that clients
// of the APIs behind us match on.
var (
	replyImpersonationDenied = reply{
		http.StatusForbidden,
		"Impersonated sessions are not allowed", "impersonation_denied",
	}
	replyDraining        = reply{http.StatusServiceUnavailable, "Shutting down", "draining"}
	replyKeysUnavailable = reply{
		http.StatusServiceUnavailable,
		"Authentication keys unavailable", "keys_unavailable",
	}
	replyAuditUnavailable = reply{
		http.StatusServiceUnavailable,
		"Audit trail unavailable", "audit_unavailable",
	}
	replyUnrecorded = reply{
		http.StatusInternalServerError,
		"Outcome could not be recorded", "audit_outcome_unrecorded",
	}
	replyUnreachable = reply{http.StatusBadGateway, "Upstream unreachable", "upstream_unreachable"}
	replyTimeout     = reply{http.StatusGatewayTimeout, "Upstream timed out", "upstream_timeout"}
	replyMalformed   = reply{http.StatusBadRequest, "The request body is malformed", "body_malformed"}
	replyTooLarge    = reply{
		http.StatusRequestEntityTooLarge,
		"The request body is too large", "body_too_large",
	}
	replyBodyStalled = reply{
		http.StatusRequestTimeout,
		"The request body did not arrive in time", "body_stalled",
	}
	replyOverloaded = reply{
		http.StatusServiceUnavailable,
		"Too many requests in flight", "overloaded",
	}
	replyReasonRequired = reply{
		http.StatusPreconditionRequired,
		"A reason for this change is required", "reason_required",
	}
	replyPreflightDenied = reply{
		http.StatusUnauthorized,
		"CORS preflights are not forwarded (TOLLBOOK_CORS_PREFLIGHT)", "preflight_denied",
	}
	replyCrossSite = reply{
		http.StatusForbidden,
		"The session cookie can't be used from another origin", "origin_refused",
	}
	// Of these the client hears no more than that its reply is cut.
	replyLifetime = reply{
		http.StatusServiceUnavailable,
		"The stream has lasted as long as it may", "stream_lifetime",
	}
	replyStalled = reply{reason: "client_stalled"}
)

func invalid(what string) *reply {
	return &reply{http.StatusBadRequest, what, "request_invalid"}
}

func methodNotAllowed(method string) *reply {
	return &reply{http.StatusMethodNotAllowed, method + " is not forwarded", "method_not_allowed"}
}

// authReply maps what the verifier said.
func (h *Handler) authReply(err error) reply {
	var refused *clerk.TokenError
	if !errors.As(err, &refused) {
		return replyKeysUnavailable
	}
	return reply{http.StatusUnauthorized, refused.Detail, refused.Reason}
}

// body is what our replies say.
type body struct {
	Detail    string `json:"detail"`
	Reason    string `json:"reason,omitempty"`
	RequestID string `json:"request_id"`
}

// write sends the reply.
func (x *exchange) write(rep reply) {
	header := x.w.Header()
	x.h.allowReading(header, x.r)
	x.paceWrite()
	content := body{rep.detail, rep.reason, x.record.RequestID}
	if rep.status == http.StatusUnauthorized {
		if x.h.HideReasons {
			content.Detail, content.Reason = "Unauthorized", ""
		}
		header.Set("WWW-Authenticate", x.challenge(rep))
	}
	if rep.status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	if x.h.draining.Load() {
		header.Set("Connection", "close")
	}
	text, err := json.Marshal(content)
	if err != nil {
		panic(err) // three strings
	}
	text = append(text, '\n')
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(text)))
	header.Set("Cache-Control", "no-store")
	header[headerRequestID] = []string{x.record.RequestID}
	x.w.WriteHeader(rep.status)
	_, _ = x.w.Write(text) // a client that left needs no reply
}

// challenge is the WWW-Authenticate of a 401 (RFC 6750 §3): without a token it
// names the scheme only.
func (x *exchange) challenge(rep reply) string {
	const scheme = `Bearer realm="tollbook"`
	if rep.reason == clerk.ReasonTokenMissing || rep.reason == replyPreflightDenied.reason ||
		x.h.HideReasons {
		return scheme
	}
	return scheme + `, error="invalid_token", error_description="` + quotable(rep.detail) + `"`
}

// quotable replaces what an error_description must not hold (RFC 6750 §3).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
}
