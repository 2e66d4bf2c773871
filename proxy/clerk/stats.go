package clerk

import "time"

// Stats are what there is to watch of a Verifier's keys.
type Stats struct {
	// Keys is how many are held, fresh enough to serve or not.
	Keys int
	// Fetches and Failures count the fetches that were good and those that were
	// not. They are 0 for a PEM key, which is never fetched.
	Fetches, Failures int64
	// Fetched is the time of the last good fetch by Config.Now; zero for a PEM
	// key, and before the first.
	Fetched time.Time
}

// Stats returns what there is to watch. It is safe for concurrent use, after Close
// too.
func (v *Verifier) Stats() Stats {
	r := v.keys
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stats{Fetches: r.good, Failures: r.bad}
	if h := r.held.Load(); h != nil {
		s.Keys = len(h.set.keys)
		if r.fetch != nil {
			s.Fetched = h.fetched
		}
	}
	return s
}
