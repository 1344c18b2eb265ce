package process

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"windlass.dev/windlass/pkg/metric"
)

// Metrics are the series that every service has. Labels come from the caller's
// enums; an id is never a label. Safe for concurrent use.
type Metrics struct {
	service  string
	steps    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	purged   *prometheus.CounterVec
	unproven *prometheus.CounterVec
}

// NewMetrics registers the shared series with reg, or takes them over where
// another service of this process has registered them. It panics if reg holds
// other series under their names: that is a bug found at start-up.
func NewMetrics(reg prometheus.Registerer, service string) *Metrics {
	return &Metrics{
		service: service,
		steps: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_steps_total", Help: "Steps handled, by outcome.",
		}, []string{"service", "kind", "outcome"})),
		duration: metric.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "windlass_step_duration_seconds",
			Help:    "Time from taking a step to its outcome.",
			Buckets: prometheus.ExponentialBucketsRange(0.001, 600, 20),
		}, []string{"service", "kind"})),
		purged: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_purged_requests_total",
			Help: "Old requests of which all rows, or the payloads alone, were purged.",
		}, []string{"kind"})),
		unproven: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_unproven_messages_total",
			Help: "Messages that were dropped because they do not prove the call that they name.",
		}, []string{"kind"})),
	}
}

// Unproven counts a message of a kind that was dropped because it does not
// prove its call.
func (m *Metrics) Unproven(kind string) { m.unproven.WithLabelValues(kind).Inc() }

// Purged counts n requests of which all of that kind was purged.
func (m *Metrics) Purged(kind string, n int) { m.purged.WithLabelValues(kind).Add(float64(n)) }

// Step counts one handled step and the time it took.
func (m *Metrics) Step(kind, outcome string, took time.Duration) {
	m.steps.WithLabelValues(m.service, kind, outcome).Inc()
	m.duration.WithLabelValues(m.service, kind).Observe(took.Seconds())
}

// GaugeFunc registers a gauge of this service whose value is read when it is
// scraped. The caller removes it before what value reads is closed.
func (rt *Runtime) GaugeFunc(name, help string, value func() float64) (remove func()) {
	g := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: help, ConstLabels: prometheus.Labels{"service": rt.Name},
	}, value)
	if err := rt.Metrics.Register(g); err != nil {
		panic("register metrics: " + err.Error())
	}
	return func() { rt.Metrics.Unregister(g) }
}

// DatabaseUp registers the gauge of a service's connection to its database.
func (rt *Runtime) DatabaseUp(up func() bool) (remove func()) {
	const help = "1 if the last attempt to connect to the database succeeded."
	return rt.GaugeFunc("windlass_database_up", help, func() float64 {
		if up() {
			return 1
		}
		return 0
	})
}
