package clerktest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// apiPath is where the stand-in serves the Backend API.
const apiPath = "/v1"

// Bounds of expires_in_seconds in the Backend API, and what a request may hold.
const (
	minTokenLife = 30
	maxTokenLife = 315360000
	maxAPIBody   = 1 << 16
)

// backend is Clerk's Backend API, as far as a token needs it: sessions are made for
// any user_…, and their tokens are signed by the first key of the server.
type backend struct {
	server *Server
	secret string

	mu       sync.Mutex
	sessions map[string]string // session id → user id
	signer   *Key
}

// APIURL returns the base URL of the Backend API, what CLERK_API_URL names.
func (s *Server) APIURL() string { return s.http.URL + apiPath }

// SecretKey returns the key that the Backend API takes, made for this server.
func (s *Server) SecretKey() string { return s.api.secret }

func (b *backend) register(mux *http.ServeMux) {
	mux.Handle("POST "+apiPath+"/sessions", b.guarded(b.createSession))
	mux.Handle("POST "+apiPath+"/sessions/{id}/tokens", b.guarded(b.createToken))
	mux.Handle("POST "+apiPath+"/sessions/{id}/tokens/{template}", b.guarded(b.createToken))
	mux.Handle("GET "+apiPath+"/users/{id}", b.guarded(b.user))
}

// sign makes the first of keys the one that tokens are signed with.
func (b *backend) sign(keys []*Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signer = nil
	if len(keys) > 0 {
		b.signer = keys[0]
	}
}

// guarded answers 401 as Clerk does to all but the secret key.
func (b *backend) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+b.secret {
			apiError(w, http.StatusUnauthorized, "clerk_key_invalid",
				"The provided Clerk Secret Key is invalid.")
			return
		}
		next(w, r)
	})
}

func (b *backend) createSession(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		UserID string `json:"user_id"`
	}
	if !readJSON(w, r, &ask) {
		return
	}
	if !strings.HasPrefix(ask.UserID, "user_") {
		apiError(w, http.StatusNotFound, "resource_not_found",
			"No user was found with this id.")
		return
	}
	id := "sess_" + rand.Text()
	b.mu.Lock()
	b.sessions[id] = ask.UserID
	b.mu.Unlock()
	apiReply(w, map[string]any{
		"object": "session", "id": id, "user_id": ask.UserID, "status": "active",
	})
}

func (b *backend) createToken(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Seconds *int `json:"expires_in_seconds"`
	}
	if !readJSON(w, r, &ask) {
		return
	}
	if ask.Seconds != nil && (*ask.Seconds < minTokenLife || *ask.Seconds > maxTokenLife) {
		apiError(w, http.StatusUnprocessableEntity, "form_param_value_invalid",
			"expires_in_seconds must be between 30 and 315360000.")
		return
	}
	id := r.PathValue("id")
	b.mu.Lock()
	user, signer := b.sessions[id], b.signer
	b.mu.Unlock()
	if user == "" || signer == nil {
		apiError(w, http.StatusNotFound, "resource_not_found", "No session was found with this id.")
		return
	}
	apiReply(w, map[string]any{
		"object": "token", "jwt": b.mint(signer, user, id, r.PathValue("template"), ask.Seconds),
	})
}

// mint signs what Clerk's Backend API would: a token without azp, and without sid
// if it is a template's.
func (b *backend) mint(signer *Key, user, session, template string, seconds *int) string {
	now := time.Now()
	claims := SessionClaims(b.server.Issuer(), user, now)
	claims["sid"] = session
	delete(claims, "azp")
	if seconds != nil {
		claims["exp"] = now.Unix() + int64(*seconds)
	}
	if template == "" {
		return signer.Sign(claims)
	}
	for _, name := range []string{"sid", "sts", "fva", "v"} {
		delete(claims, name)
	}
	return signer.Sign(claims, WithHeader("cat", CategoryTemplate))
}

func (b *backend) user(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	apiReply(w, map[string]any{
		"object": "user", "id": id, "primary_email_address_id": "idn_1",
		"email_addresses": []map[string]any{
			{"id": "idn_1", "email_address": id + "@example.com"},
		},
	})
}

// readJSON decodes a body that may be empty; otherwise it answers 400.
func readJSON(w http.ResponseWriter, r *http.Request, v any) bool {
	if r.ContentLength == 0 {
		return true
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAPIBody)).Decode(v); err != nil {
		apiError(w, http.StatusBadRequest, "request_body_invalid", "The request body is not JSON.")
		return false
	}
	return true
}

func apiReply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	reply(w, marshal(v))
}

func apiError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	reply(w, marshal(map[string]any{
		"errors": []map[string]any{
			{"code": code, "message": message, "long_message": message},
		},
		"clerk_trace_id": rand.Text(),
	}))
}
