package conn

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"windlass.dev/windlass/pkg/metric"
)

// Metrics are the series of one connection.
type Metrics struct {
	deliveries  *prometheus.CounterVec
	handled     *prometheus.CounterVec
	violations  prometheus.Counter
	junk        prometheus.Counter
	full        *prometheus.CounterVec
	bytes       *prometheus.GaugeVec
	limit       *prometheus.GaugeVec
	messages    *prometheus.GaugeVec
	uncommitted prometheus.Gauge
	writable    *prometheus.GaugeVec
	rebuilds    *prometheus.CounterVec
}

// newMetrics makes the bus's metrics and registers them if r is not nil; those
// that r knows already are shared.
func newMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
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
		junk: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "windlass_live_junk_total",
			Help: "Messages of live streams that readers dropped because no writer of the request wrote them.",
		}),
		full: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_publish_full_total",
			Help: "Publishes that a full stream refused. The sweep repeats commands when there is room.",
		}, []string{"stream"}),
		bytes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "windlass_stream_bytes",
			Help: "Bytes that a stream holds, from claimers.",
		}, []string{"stream"}),
		limit: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "windlass_stream_limit_bytes",
			Help: "Bytes that a stream may hold, from claimers.",
		}, []string{"stream"}),
		messages: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "windlass_stream_messages",
			Help: "Messages that a stream holds, from claimers.",
		}, []string{"stream"}),
		uncommitted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "windlass_results_uncommitted",
			Help: "Tool results in the step stream that are not committed yet, from claimers.",
		}),
		writable: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "windlass_stream_writable",
			Help: "Whether the server can write a stream: 1, or 0 after an error that it keeps, from claimers.",
		}, []string{"stream"}),
		rebuilds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_stream_rebuilds_total",
			Help: "Streams that could not be written and were created again.",
		}, []string{"stream"}),
	}
	if r != nil {
		m.register(r)
	}
	return m
}

func (m *Metrics) register(r prometheus.Registerer) {
	for _, v := range []**prometheus.CounterVec{&m.deliveries, &m.handled, &m.full, &m.rebuilds} {
		*v = metric.Register(r, *v)
	}
	for _, v := range []**prometheus.GaugeVec{&m.bytes, &m.limit, &m.messages, &m.writable} {
		*v = metric.Register(r, *v)
	}
	m.violations = metric.Register(r, m.violations)
	m.junk = metric.Register(r, m.junk)
	m.uncommitted = metric.Register(r, m.uncommitted)
}

// setWritable sets the gauge of a stream.
func (m *Metrics) setWritable(suffix string, writable bool) {
	value := 0.0
	if writable {
		value = 1
	}
	m.writable.WithLabelValues(suffix).Set(value)
}

// CountDelivery counts a message taken from a consumer, delivered so many
// times.
func (m *Metrics) CountDelivery(consumer string, times int) {
	m.deliveries.WithLabelValues(consumer, strconv.FormatBool(times > 1)).Inc()
}

// CountHandled counts a message that a handler is done with.
func (m *Metrics) CountHandled(consumer, outcome string) {
	m.handled.WithLabelValues(consumer, outcome).Inc()
}

// CountFull counts a publish that a full stream refused.
func (m *Metrics) CountFull(stream string) { m.full.WithLabelValues(stream).Inc() }

// CountJunk counts a message of a live stream that readers drop.
func (m *Metrics) CountJunk() { m.junk.Inc() }
