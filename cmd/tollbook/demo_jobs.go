package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A jobsAPI is an API of the kind that tollbook protects: it holds no auth code
// and believes X-User-ID.
type jobsAPI struct {
	url    string
	server *http.Server
	served chan error

	mu    sync.Mutex
	jobs  map[string]string // job_id → user
	seen  []string          // the X-User-ID values of the last upload
	total int
}

// maxUpload bounds what the demo's API takes.
const maxUpload = 16 << 20

func startJobsAPI(ctx context.Context) (*jobsAPI, error) {
	l, err := listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	j := &jobsAPI{
		url: "http://" + l.Addr().String(), jobs: make(map[string]string), served: make(chan error, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /jobs", j.submit)
	mux.HandleFunc("GET /jobs", j.list)
	mux.HandleFunc("GET /jobs/{job_id}", j.status)
	j.server = &http.Server{Handler: j.counting(mux), ReadHeaderTimeout: demoTimeout}
	go func(l net.Listener) { j.served <- j.server.Serve(l) }(l)
	return j, nil
}

func (j *jobsAPI) close() error {
	err := j.server.Close()
	if served := <-j.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (j *jobsAPI) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.mu.Lock()
		j.total++
		j.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (j *jobsAPI) submit(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	file, _, err := r.FormFile("file")
	if err != nil {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"detail": "a file is required"})
		return
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"detail": "the upload broke off"})
		return
	}
	id := "job_" + rand.Text()[:12]
	j.mu.Lock()
	j.seen = slices.Clone(r.Header.Values("X-User-ID"))
	j.jobs[id] = r.Header.Get("X-User-ID")
	j.mu.Unlock()
	answer(w, http.StatusCreated, map[string]string{
		"job_id": id, "status": "pending", "created_at": time.Now().UTC().Format(time.RFC3339),
		"urs_hash": hex.EncodeToString(sum.Sum(nil)),
	})
}

func (j *jobsAPI) list(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	ids := []string{}
	for id, user := range j.jobs {
		if user == r.Header.Get("X-User-ID") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	answer(w, http.StatusOK, map[string][]string{"jobs": ids})
}

func (j *jobsAPI) status(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	user, found := j.jobs[r.PathValue("job_id")]
	j.mu.Unlock()
	switch {
	case !found:
		answer(w, http.StatusNotFound, map[string]string{"detail": "no such job"})
	case user != r.Header.Get("X-User-ID"):
		answer(w, http.StatusForbidden, map[string]string{"detail": "another user's job"})
	default:
		answer(w, http.StatusOK, map[string]string{"job_id": r.PathValue("job_id"), "status": "pending"})
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no reply
}

// userIDs returns what the last upload had as X-User-ID.
func (j *jobsAPI) userIDs() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.seen)
}

// count returns how many requests came.
func (j *jobsAPI) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.total
}
