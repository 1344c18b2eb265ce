package httpapi

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"windlass.dev/windlass/pkg/metric"
)

// metrics are the series of the HTTP side. Routes are patterns, so that the
// label has as many values as the API has routes.
type metrics struct {
	requests       *prometheus.CounterVec
	duration       *prometheus.HistogramVec
	originsRefused prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	return &metrics{
		requests: metric.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_http_requests_total", Help: "HTTP requests served, by route and status code.",
		}, []string{"route", "code"})),
		duration: metric.Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "windlass_http_request_duration_seconds",
			Help:    "Time from a request's headers to the end of its handler, waiting for answers included.",
			Buckets: prometheus.ExponentialBucketsRange(0.001, 600, 20),
		}, []string{"route"})),
		originsRefused: metric.Register(r, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "windlass_cors_refusals_total",
			Help: "Preflights and WebSockets of pages whose origin WINDLASS_CORS_ORIGINS does not list.",
		})),
	}
}

func (m *metrics) observe(route, code string, took time.Duration) {
	m.requests.WithLabelValues(route, code).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}
