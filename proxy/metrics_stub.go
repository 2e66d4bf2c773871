package proxy

import "time"

// Metrics is replaced.
type Metrics struct{}

func (m *Metrics) Unparsed()                              {}
func (m *Metrics) Refused(string)                         {}
func (m *Metrics) Upstream(time.Duration)                 {}
func (m *Metrics) UpstreamFailed(string)                  {}
func (m *Metrics) ExpiredLate(time.Duration)              {}
func (m *Metrics) Request(RouteClass, int, time.Duration) {}
