package proxy

import "errors"

// Why we end an exchange.
var (
	// errUnrecorded says that the outcome is not on disk: the client must not get
	// the whole reply.
	errUnrecorded = errors.New("outcome not recorded")
	// errDraining is the cause of the contexts of requests that outlived the drain.
	errDraining = errors.New("draining")
	// errLifetime is the cause of the contexts of streams that lasted too long.
	errLifetime = errors.New("the stream has lasted as long as it may")
	// errUntaken is the cause of the contexts of requests whose body the upstream
	// did not take.
	errUntaken = errors.New("the upstream takes nothing of the request body")
	// errOverloaded says that there is no place for another stream.
	errOverloaded = errors.New("too many streams")
)
