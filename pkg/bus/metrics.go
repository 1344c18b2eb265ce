package bus

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	deliveries *prometheus.CounterVec
	handled    *prometheus.CounterVec
	violations prometheus.Counter
}

// newMetrics makes the bus's metrics and registers them if r is not nil; those that r knows already are shared.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_deliveries_total",
			Help: "Messages taken from a consumer.",
		}, []string{"consumer", "redelivered"}),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_handled_total",
			Help: "Messages a handler is done with, by the outcome that decided their acknowledgement.",
		}, []string{"consumer", "outcome"}),
		violations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "windlass_nats_permission_violations_total",
			Help: "Publishes and subscriptions the server refused for want of permission.",
		}),
	}
	if r == nil {
		return m, nil
	}
	var err error
	if m.deliveries, err = register(r, m.deliveries); err != nil {
		return nil, err
	}
	if m.handled, err = register(r, m.handled); err != nil {
		return nil, err
	}
	m.violations, err = register(r, m.violations)
	return m, err
}

func register[C prometheus.Collector](r prometheus.Registerer, c C) (C, error) {
	err := r.Register(c)
	var known prometheus.AlreadyRegisteredError
	if errors.As(err, &known) {
		if same, ok := known.ExistingCollector.(C); ok {
			return same, nil
		}
	}
	return c, err
}

func (m *metrics) delivered(consumer string, times int) {
	m.deliveries.WithLabelValues(consumer, strconv.FormatBool(times > 1)).Inc()
}
