package audit

// consistent checks what the fields of one record must say of each other.
func (p *parser) consistent() error {
	r := p.record
	if r.Seq < 1 {
		return errorf("field seq: %d, want 1 or more", r.Seq)
	}
	if !isID(r.LogID) || !isID(r.BootID) {
		return errorf("log_id and boot_id are 32 lower-case hex digits each")
	}
	if r.ReceivedSeq >= r.Seq {
		return errorf("received_seq is not the seq of an earlier record")
	}
	return r.coherent()
}

// coherent checks what does not depend on the place in the chain: the writer
// asks too, since a line that no reader takes would end the trail.
func (r *Record) coherent() error {
	if r.EventType == "" {
		return errorf("field event_type: null")
	}
	if closes := r.Phase == Completed || r.Phase == Interrupted; closes != (r.ReceivedSeq > 0) {
		return errorf("received_seq stands on completed and interrupted records, and only there")
	}
	if (r.Outcome != "") != (r.Phase == Completed) {
		return errorf("outcome stands on completed records, and only there")
	}
	switch r.Phase {
	case Received, Completed, Interrupted, Refused, System:
	default:
		return errorf("field phase: not a phase of version %d", Version)
	}
	switch r.Outcome {
	case "", OK, NotForwarded, UpstreamError, Timeout, ClientAborted, Rejected:
		return nil
	default:
		return errorf("field outcome: not an outcome of version %d", Version)
	}
}

// isID reports whether s is 32 lower-case hex digits.
func isID(s string) bool {
	for i := range len(s) {
		if hexValues[s[i]] == notHex {
			return false
		}
	}
	return len(s) == 32
}
