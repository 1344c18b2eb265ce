package budget

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"windlass.dev/windlass/pkg/metric"
)

var (
	limitDesc = prometheus.NewDesc("windlass_memory_budget_bytes",
		"Memory that clients and upstreams together may make this process hold.", nil, nil)
	heldDesc = prometheus.NewDesc("windlass_memory_held_bytes",
		"Memory that clients and upstreams make this process hold, by use.", []string{"use"}, nil)
)

// metrics are the series of one budget.
type metrics struct {
	budget   *Budget
	refusals *prometheus.CounterVec
}

func newMetrics(b *Budget, reg prometheus.Registerer) *metrics {
	m := &metrics{budget: b, refusals: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "windlass_memory_refusals_total",
		Help: "Refusals of memory, by use and by what was used up: the share of a tenant or key, or the budget.",
	}, []string{"use", "reason"}))}
	for _, use := range useNames {
		m.refusals.WithLabelValues(use, "share")
		m.refusals.WithLabelValues(use, "process")
	}
	reg.MustRegister(m)
	return m
}

func (m *metrics) refuse(use Use, err error) {
	reason := "process"
	if errors.Is(err, ErrShare) {
		reason = "share"
	}
	m.refusals.WithLabelValues(useNames[use], reason).Inc()
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- limitDesc
	ch <- heldDesc
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	b := m.budget
	b.mu.Lock()
	byUse := b.byUse
	b.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(b.limit))
	for use, held := range byUse {
		ch <- prometheus.MustNewConstMetric(heldDesc, prometheus.GaugeValue, float64(held), useNames[use])
	}
}
