package gateway

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"windlass.dev/windlass/pkg/store"
)

// metrics are the gateway's own series. Routes are patterns, so that their number is that of the API.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec

	originsRefused prometheus.Counter
	listsFailed    prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	return &metrics{
		requests: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_http_requests_total", Help: "HTTP requests served, by route and status code.",
		}, []string{"route", "code"})),
		duration: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "windlass_http_request_duration_seconds",
			Help:    "Time from a request's headers to the end of its handler, waiting for answers included.",
			Buckets: prometheus.ExponentialBucketsRange(0.001, 600, 20),
		}, []string{"route"})),
		refused: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_limit_refusals_total", Help: "Requests over a limit of their tenant, by limit.",
		}, []string{"limit"})),
		listsFailed: register(r, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "windlass_model_list_failures_total", Help: "Requests for the models of the wildcard's upstream that failed.",
		})),
		originsRefused: register(r, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "windlass_cors_refusals_total", Help: "Preflights and WebSockets of pages whose origin WINDLASS_CORS_ORIGINS does not list.",
		})),
	}
}

func (m *metrics) overLimit(limit store.Limit) { m.refused.WithLabelValues(string(limit)).Inc() }

func (m *metrics) observe(route, code string, took time.Duration) {
	m.requests.WithLabelValues(route, code).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}

// register shares series that another gateway of the process has registered.
func register[C prometheus.Collector](r prometheus.Registerer, c C) C {
	err := r.Register(c)
	var taken prometheus.AlreadyRegisteredError
	if errors.As(err, &taken) {
		if same, ok := taken.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic("register metrics: " + err.Error())
	}
	return c
}
