package bus

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/internal/conn"
	"windlass.dev/windlass/pkg/bus/internal/topology"
	"windlass.dev/windlass/pkg/bus/live"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// How the bus is configured.
type (
	// Config says where the bus is and how its streams are configured.
	Config = topology.Config
	// MaxBytes bounds each stream.
	MaxBytes = topology.MaxBytes
	// InProcess gives connections to a NATS server in the same process.
	InProcess = topology.InProcess
	// Topology is what a service needs to exist besides the streams.
	Topology = topology.Topology
	// Lane is a queue of turns that share a model's capacity.
	Lane = topology.Lane
)

// StepMaxAge is how long events of steps stay, with the tool results in them,
// and marks.
const StepMaxAge = topology.StepMaxAge

// Errors of publishing.
var (
	// ErrFull is returned when a stream is at its limit and refused a message.
	// The message is not stored. The sweep publishes what a row needs when
	// there is room.
	ErrFull = conn.ErrFull
	// ErrTooLarge is returned when a message exceeds the server's limit. A
	// retry fails as well.
	ErrTooLarge = conn.ErrTooLarge
)

// Unavailable reports whether NATS is unavailable, or was for this operation:
// the connection is lost, no answer came in time, no server responds, a stream
// is missing until it is repaired, or the server cannot store. The operation
// may be repeated unchanged. Every other error is final, and so is ErrFull.
func Unavailable(err error) bool { return conn.Unavailable(err) }

// Bus is a connection to NATS. It is safe for concurrent use.
type Bus struct {
	conn *conn.Conn
	live *live.Streams
}

// Option changes how Connect makes a Bus.
type Option func(*options)

type options struct {
	registerer prometheus.Registerer
}

// WithMetrics registers the bus's metrics. Several buses may share one
// registerer.
func WithMetrics(r prometheus.Registerer) Option {
	return func(o *options) { o.registerer = r }
}

// Connect makes a Bus for one service, whose name appears in the connection's
// name and in its inbox prefix (_INBOX_<service>). It does not wait for the
// server: the client retries the connection without end, and Ready reports its
// state. The caller closes the Bus.
func Connect(ctx context.Context, cfg Config, service string, log *zap.Logger, opts ...Option) (*Bus, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	c, err := conn.Connect(ctx, cfg, service, log, o.registerer)
	if err != nil {
		return nil, err
	}
	return &Bus{conn: c, live: live.New(c)}, nil
}

// Close sends what is buffered, acknowledgements above all, as far as ctx
// allows, and closes the connection. Every Run must have ended before.
func (b *Bus) Close(ctx context.Context) { b.conn.Close(ctx) }

// Ready returns nil if the server is connected, answers, and refused no
// permission in the last 30 s.
func (b *Bus) Ready(ctx context.Context) error { return b.conn.Ready(ctx) }

// Ensure creates or updates all streams, and the consumers of a topology. It
// changes existing ones where the server allows it, and deletes none, except a
// consumer just created that skips messages. Ensure waits for a server that is
// away, until ctx ends. The Bus keeps the topology for repairs, so a service
// calls Ensure at its start and whenever the topology changed.
func (b *Bus) Ensure(ctx context.Context, t Topology) error { return b.conn.Ensure(ctx, t) }

// WatchStreams looks at every stream once a second until ctx ends, and sets the
// gauges of streams and results. It repairs a stream, its consumers included,
// that is missing, was created again (its creation time changed) or went back
// (its last sequence fell), and then reports it once by its name; the caller
// makes every row in progress due. WatchStreams returns nil when ctx ends. It
// does not notice losses before its first look.
func (b *Bus) WatchStreams(ctx context.Context, lost func(stream string)) error {
	return b.conn.WatchStreams(ctx, lost)
}

// Run takes messages and calls the handler for each; see consume.Run.
func (b *Bus) Run(ctx context.Context, cfg consume.Config) error {
	return consume.Run(ctx, b.source(), cfg)
}

// RunBatches takes messages and calls the handler for many at once; see
// consume.RunBatches.
func (b *Bus) RunBatches(ctx context.Context, cfg consume.Config) error {
	return consume.RunBatches(ctx, b.source(), cfg)
}

func (b *Bus) source() consume.Source {
	return consume.Source{Conn: b.conn, Publish: b.Publish, OnCancel: b.OnCancel}
}

// OpenLive starts a writer of a request's live stream; see live.Streams.
func (b *Bus) OpenLive(ctx context.Context, id *stepv1.StepIdentity) *live.Writer {
	return b.live.Open(ctx, id)
}

// ReadLive subscribes to a request's live stream; see live.Streams.
func (b *Bus) ReadLive(requestID string) (*live.Reader, error) { return b.live.Read(requestID) }

// Stored reads what is stored of a request's live stream; see live.Streams.
func (b *Bus) Stored(
	ctx context.Context, requestID string, take func(*stepv1.LiveFrames) error,
) (last uint64, err error) {
	return b.live.Stored(ctx, requestID, take)
}

// LiveIsEmpty reports whether nothing of a request's live stream is stored.
func (b *Bus) LiveIsEmpty(ctx context.Context, requestID string) (bool, error) {
	return b.live.IsEmpty(ctx, requestID)
}

// EndLive stores the last message of a live stream; see live.Streams.
func (b *Bus) EndLive(ctx context.Context, m *stepv1.LiveFrames, behind uint64) (ended bool, err error) {
	return b.live.End(ctx, m, behind)
}

// PurgeLive deletes a request's live stream.
func (b *Bus) PurgeLive(ctx context.Context, requestID string) error {
	return b.live.Purge(ctx, requestID)
}

// LaneLoad counts a lane's turns: those that wait and those in flight.
func (b *Bus) LaneLoad(ctx context.Context, lane string) (waiting, inFlight int, err error) {
	return b.conn.LaneLoad(ctx, lane)
}

// PauseLane stops the delivery of a lane's turns for a time, for all
// services; a negative time ends the pause. Turns in flight go on.
func (b *Bus) PauseLane(ctx context.Context, lane string, pause time.Duration) error {
	return b.conn.PauseLane(ctx, lane, pause)
}
