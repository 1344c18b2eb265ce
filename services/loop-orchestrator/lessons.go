package looporchestrator

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/compat"
)

// lessons reports what refusals have taught about upstreams.
type lessons struct {
	counter *prometheus.CounterVec
	log     *zap.Logger
}

func newLessons(r prometheus.Registerer, log *zap.Logger) lessons {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "windlass_upstream_lessons_total",
		Help: "Changes of requests that were learnt from an upstream's refusal, by kind of change.",
	}, []string{"kind"})
	err := r.Register(counter)
	var taken prometheus.AlreadyRegisteredError
	if errors.As(err, &taken) { // by another orchestrator of the process
		counter = taken.ExistingCollector.(*prometheus.CounterVec)
	} else if err != nil {
		panic("register metrics: " + err.Error())
	}
	return lessons{counter: counter, log: log}
}

// note reports one lesson. The model is the upstream's name of the model, the
// outcome what requests are changed by from now on.
func (l lessons) note(at registry.Upstream, c compat.Change) {
	l.counter.WithLabelValues(string(c.Kind)).Inc()
	l.log.Info("requests changed after a refusal", zap.String("model", at.Model), zap.String("outcome", c.String()))
}
