package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	// publishTimeout bounds the wait for one PubAck.
	publishTimeout = 2 * time.Second
	// apiTimeout bounds one question to the JetStream API.
	apiTimeout = 2 * time.Second
	// violationMemory is how long a refused permission keeps a service from
	// being ready.
	violationMemory = 30 * time.Second
	// syncQueue is more than the messages of one batched read. The default,
	// 65,536, costs 512 kB for each read.
	syncQueue = 1024
	// maxUnacked bounds the publishes of a process that await their PubAck.
	maxUnacked = 1 << 16
)

// Bus is a connection to NATS. It is safe for concurrent use.
type Bus struct {
	cfg     Config
	service string
	log     *zap.Logger
	nc      *nats.Conn
	js      jetstream.JetStream
	metrics *metrics

	violatedAt atomic.Int64 // unix nanoseconds of the last permission violation; 0 for none

	mu       sync.Mutex
	topology *Topology // as given to Ensure last

	tails struct {
		sync.Mutex
		of map[string]*liveTail // by subject: those that somebody reads
	}

	reads chan struct{} // holds one token for each read of a live stream

	repairing  chan struct{} // holds one token while a repair runs; guards the three below
	repairedAt time.Time
	repairErr  error
	remade     map[string]remade // by the stream's name after the prefix
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
// server: the connection is tried for ever, and Ready says how it stands. The
// caller closes the Bus.
func Connect(ctx context.Context, cfg Config, service string, log *zap.Logger, opts ...Option) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check bus configuration: %w", err)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	m, err := newMetrics(o.registerer)
	if err != nil {
		return nil, fmt.Errorf("register bus metrics: %w", err)
	}
	b := &Bus{
		cfg: cfg, service: service, log: log, metrics: m, reads: make(chan struct{}, liveReads),
		repairing: make(chan struct{}, 1), remade: make(map[string]remade),
	}
	b.tails.of = map[string]*liveTail{}
	if b.nc, err = nats.Connect(cfg.URL, b.natsOptions()...); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	b.js, err = jetstream.New(b.nc,
		jetstream.WithDefaultTimeout(apiTimeout),
		jetstream.WithPublishAsyncTimeout(publishTimeout),
		jetstream.WithPublishAsyncMaxPending(maxUnacked))
	if err != nil {
		b.nc.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return b, nil
}

// natsOptions are the connection's. A publish fails at once while the server is
// away (no reconnect buffer): the row's check_at or the handler's own retry
// repeats it, which beats a flush of stale commands after the reconnect.
func (b *Bus) natsOptions() []nats.Option {
	opts := []nats.Option{
		nats.Name("windlass-" + b.service),
		nats.CustomInboxPrefix("_INBOX_" + token(b.service)),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 500*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.Timeout(2 * time.Second),
		nats.SyncQueueLen(syncQueue),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(b.onError),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil at Close
				b.log.Warn("connection to NATS lost", zap.Error(err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			b.log.Info("connection to NATS restored")
		}),
	}
	if b.cfg.InProcess != nil {
		opts = append(opts, nats.InProcessServer(b.cfg.InProcess))
	}
	if b.cfg.Creds != "" {
		opts = append(opts, nats.UserCredentials(b.cfg.Creds))
	}
	return opts
}

func (b *Bus) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		b.violatedAt.Store(time.Now().UnixNano())
		b.metrics.violations.Inc()
		b.log.Error("NATS permission refused", zap.Error(err))
		return
	}
	if errors.Is(err, nats.ErrSlowConsumer) { // a reader of a live stream fell behind, and reads the stream instead
		b.log.Debug("NATS reported an error", zap.Error(err))
		return
	}
	b.log.Warn("NATS reported an error", zap.Error(err))
}

// Close sends what is buffered, acknowledgements above all, as far as ctx
// allows, and closes the connection. Every Run must have ended before.
func (b *Bus) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := b.nc.FlushWithContext(ctx); err != nil {
		b.log.Info("connection to NATS closed without a flush", zap.Error(err))
	}
	b.nc.Close()
}

// Ready is nil when the server is connected and answers, and refused no
// permission in the last 30 s.
func (b *Bus) Ready(ctx context.Context) error {
	if s := b.nc.Status(); s != nats.CONNECTED {
		return fmt.Errorf("NATS is %v", s)
	}
	if at := b.violatedAt.Load(); at != 0 && time.Since(time.Unix(0, at)) < violationMemory {
		return errors.New("NATS refused a permission")
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if err := b.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("ping NATS: %w", err)
	}
	return nil
}

// stream names a stream: WINDLASS_TURN for TURN.
func (b *Bus) stream(suffix string) string { return streamName(b.cfg.Prefix, suffix) }

// subject puts the prefix before a subject's tail.
func (b *Bus) subject(tail string) string { return b.cfg.Prefix + "." + tail }
