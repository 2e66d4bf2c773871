package main

import (
	"fmt"
	"time"
)

// limitsConfig says how much and how long.
type limitsConfig struct {
	// MaxBodyBytes is the largest request body (413); 0 for no limit.
	MaxBodyBytes byteSize `env:"TOLLBOOK_MAX_BODY_BYTES" envDefault:"0" example:"100MiB" min:"0" max:"1048576GiB"`
	// MaxHeaderBytes is the largest request head (431).
	MaxHeaderBytes byteSize `env:"TOLLBOOK_MAX_HEADER_BYTES" envDefault:"64KiB" min:"4KiB" max:"1MiB"`

	// MaxInFlight is how many ordinary requests are served at once (503).
	MaxInFlight int `env:"TOLLBOOK_MAX_IN_FLIGHT" envDefault:"1024" min:"1" max:"1000000"`
	// MaxStreams is how many tunnels, gRPC calls and event streams are open at
	// once (503).
	MaxStreams int `env:"TOLLBOOK_MAX_STREAMS" envDefault:"4096" min:"1" max:"1000000"`

	// ReadHeaderTimeout bounds the head of a request.
	ReadHeaderTimeout time.Duration `env:"TOLLBOOK_READ_HEADER_TIMEOUT" envDefault:"10s" min:"1ms" max:"5m"`
	// IdleTimeout is how long a connection is kept for the next request.
	IdleTimeout time.Duration `env:"TOLLBOOK_IDLE_TIMEOUT" envDefault:"90s" min:"1ms" max:"1h"`
	// StallTimeout is how long a request body that is being read, or a reply that
	// is being written, may stand still.
	StallTimeout time.Duration `env:"TOLLBOOK_STALL_TIMEOUT" envDefault:"60s" min:"1ms" max:"1h"`
	// StreamLifetime is the longest life of a tunnel, gRPC call or event stream.
	StreamLifetime streamLifetime `env:"TOLLBOOK_STREAM_LIFETIME" envDefault:"0" min:"1s" max:"720h"`
}

// streamLifetime is a length of time, or as long as the token is good. The zero
// value is no limit; at most one field is set.
type streamLifetime struct {
	Duration time.Duration
	Token    bool // until the token's exp and the leeway
}

// String is the lifetime as it is set.
func (l streamLifetime) String() string {
	switch {
	case l.Token:
		return "token"
	case l.Duration == 0:
		return "0"
	}
	return l.Duration.String()
}

func parseStreamLifetime(s setting, text string) (streamLifetime, error) {
	if text == "token" {
		return streamLifetime{Token: true}, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return streamLifetime{}, fmt.Errorf("%s is neither a duration nor the word token; "+
			"write e.g. 1h, or 0 for no limit", show(text))
	}
	if d != 0 && (d < bound(s.min) || d > bound(s.max)) {
		return streamLifetime{}, fmt.Errorf("%s is out of range; write %s to %s, or 0 for no limit",
			show(text), s.min, s.max)
	}
	return streamLifetime{Duration: d}, nil
}
