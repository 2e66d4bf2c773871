package proxy

import "github.com/prometheus/client_golang/prometheus"

// A Load says where the gauges of what is going on now are read.
type Load struct {
	// InFlight and Streams return how many ordinary requests, and how many
	// streams (tunnels, gRPC calls and event streams), are going on. They are called at each scrape,
	// must be safe for concurrent use and not block.
	InFlight, Streams func() int64
	// MaxInFlight and MaxStreams are their limits; 0 means none.
	MaxInFlight, MaxStreams int64
}

// Watch has the gauges read from l from now on; before, they are 0.
func (m *Metrics) Watch(l Load) {
	if m != nil {
		m.load.Store(&l)
	}
}

func (m *Metrics) registerLoad(reg prometheus.Registerer) {
	m.load.Store(&Load{InFlight: none, Streams: none})
	gauge := func(name, help string, read func(*Load) int64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts(name, help)),
			func() float64 { return float64(read(m.load.Load())) }))
	}
	gauge("requests_in_flight", "Ordinary requests that are going on.",
		func(l *Load) int64 { return l.InFlight() })
	gauge("requests_in_flight_limit", "How many ordinary requests may go on at once; 0: no limit.",
		func(l *Load) int64 { return l.MaxInFlight })
	gauge("streams", "Tunnels, gRPC calls and event streams that are open.",
		func(l *Load) int64 { return l.Streams() })
	gauge("streams_limit", "How many tunnels, gRPC calls and event streams may be open; 0: no limit.",
		func(l *Load) int64 { return l.MaxStreams })
}

func none() int64 { return 0 }
