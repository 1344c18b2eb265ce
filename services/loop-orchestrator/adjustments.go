package looporchestrator

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/metric"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/compat"
)

// adjustments counts and logs the changes that requests get after an upstream
// has refused their form.
type adjustments struct {
	counter *prometheus.CounterVec
	log     *zap.Logger
}

func newAdjustments(r prometheus.Registerer, log *zap.Logger) adjustments {
	counter := metric.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "windlass_upstream_lessons_total",
		Help: "Changes of requests that were learnt from an upstream's refusal, by kind of change.",
	}, []string{"kind"}))
	return adjustments{counter: counter, log: log}
}

// report reports one change. The model is the upstream's name of the model, the
// outcome what changes in requests from now on.
func (a adjustments) report(at registry.Upstream, c compat.Change) {
	a.counter.WithLabelValues(string(c.Kind)).Inc()
	a.log.Info("requests changed after a refusal", zap.String("model", at.Model), zap.String("outcome", c.String()))
}
