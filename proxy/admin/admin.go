// Package admin is the operator's listener: whether the process lives,
// whether it can do its work, and what it has done.
//
//	GET /livez    200 while the process serves
//	GET /readyz   200 if every check is good, else 503; JSON naming what is wrong
//	GET /metrics  what Prometheus scrapes
//
// It never answers on the traffic port, and needs no token: bind it where only
// operators reach it.
package admin

import (
	"encoding/json"
	"net/http"
)

// A Check is one condition of readiness.
type Check struct {
	// Name is what /readyz calls it.
	Name string
	// Err says why it is not met; nil if it is. It must be safe for concurrent
	// use and not block.
	Err func() error
}

// A Status is what /readyz answers.
type Status struct {
	Ready bool `json:"ready"`
	// Checks has "ok" or the cause for each check.
	Checks map[string]string `json:"checks"`
}

// Handler returns the listener's handler, which answers nothing else. metrics
// answers /metrics and must be safe for concurrent use, as the Handler is; nil
// means that there is no such path.
func Handler(metrics http.Handler, checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		s := statusOf(checks)
		code := http.StatusOK
		if !s.Ready {
			code = http.StatusServiceUnavailable
		}
		writeJSON(w, code, s)
	})
	if metrics != nil {
		mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			metrics.ServeHTTP(w, r)
		})
	}
	return mux
}

func statusOf(checks []Check) Status {
	s := Status{Ready: true, Checks: make(map[string]string, len(checks))}
	for _, c := range checks {
		s.Checks[c.Name] = "ok"
		if err := c.Err(); err != nil {
			s.Ready, s.Checks[c.Name] = false, err.Error()
		}
	}
	return s
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no reply
}
