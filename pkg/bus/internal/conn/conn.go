package conn

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

	"windlass.dev/windlass/pkg/bus/internal/topology"
	"windlass.dev/windlass/pkg/bus/subject"
)

const (
	// PublishTimeout bounds the wait for one PubAck.
	PublishTimeout = 2 * time.Second
	// APITimeout bounds one request to the JetStream API.
	APITimeout = 2 * time.Second
	// violationMemory is how long a refused permission keeps a service from
	// being ready.
	violationMemory = 30 * time.Second
	// syncQueue is more than the messages of one batched read. The default,
	// 65,536, costs 512 kB for each read.
	syncQueue = 1024
	// maxUnacked bounds the publishes of a process that await their PubAck.
	maxUnacked = 1 << 16
)

// Conn is a connection to NATS. It is safe for concurrent use; its exported
// fields are not written after Connect.
type Conn struct {
	Config  topology.Config
	Log     *zap.Logger
	NATS    *nats.Conn
	JS      jetstream.JetStream
	Metrics *Metrics

	service    string
	violatedAt atomic.Int64 // unix nanoseconds of the last permission violation, 0 if none

	mu       sync.Mutex
	topology *topology.Topology // as given to Ensure last
	// What Ready reports: streams that the probe found broken, and when others
	// last left a publish without an answer.
	unwritable []string
	doubted    map[string]time.Time // by the stream's name after the prefix

	repairing  chan struct{} // holds one token while a repair runs; guards the three below
	repairedAt time.Time
	repairErr  error
	remade     map[string]remade // by the stream's name after the prefix
}

// Connect makes a connection for one service; see bus.Connect. It registers the
// metrics with r unless r is nil.
func Connect(
	ctx context.Context, cfg topology.Config, service string, log *zap.Logger, r prometheus.Registerer,
) (*Conn, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check bus configuration: %w", err)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	c := &Conn{
		Config: cfg, Log: log, Metrics: newMetrics(r), service: service,
		repairing: make(chan struct{}, 1), remade: make(map[string]remade), doubted: make(map[string]time.Time),
	}
	var err error
	if c.NATS, err = nats.Connect(cfg.URL, c.natsOptions()...); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	c.JS, err = jetstream.New(c.NATS,
		jetstream.WithDefaultTimeout(APITimeout),
		jetstream.WithPublishAsyncTimeout(PublishTimeout),
		jetstream.WithPublishAsyncMaxPending(maxUnacked))
	if err != nil {
		c.NATS.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return c, nil
}

// natsOptions returns the connection's options. A publish fails at once while
// the server is away (no reconnect buffer): the row's check_at or the handler's
// own retry repeats it, which is better than a flush of stale commands after
// the reconnect.
func (c *Conn) natsOptions() []nats.Option {
	opts := []nats.Option{
		nats.Name("windlass-" + c.service),
		nats.CustomInboxPrefix("_INBOX_" + subject.Token(c.service)),
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
		nats.ErrorHandler(c.onError),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil at Close
				c.Log.Warn("connection to NATS lost", zap.Error(err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			c.Log.Info("connection to NATS restored")
		}),
	}
	if c.Config.InProcess != nil {
		opts = append(opts, nats.InProcessServer(c.Config.InProcess))
	}
	if c.Config.Creds != "" {
		opts = append(opts, nats.UserCredentials(c.Config.Creds))
	}
	return opts
}

func (c *Conn) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		c.violatedAt.Store(time.Now().UnixNano())
		c.Metrics.violations.Inc()
		c.Log.Error("NATS permission refused", zap.Error(err))
		return
	}
	if errors.Is(err, nats.ErrSlowConsumer) { // a reader of a live stream fell behind and reads the stream instead
		c.Log.Debug("NATS reported an error", zap.Error(err))
		return
	}
	c.Log.Warn("NATS reported an error", zap.Error(err))
}

// Close flushes the connection, as far as ctx allows, and closes it.
func (c *Conn) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, PublishTimeout)
	defer cancel()
	if err := c.NATS.FlushWithContext(ctx); err != nil {
		c.Log.Info("connection to NATS closed without a flush", zap.Error(err))
	}
	c.NATS.Close()
}

// Ready returns nil if the server is connected, answers, refused no permission
// in the last 30 s, and can write its streams as far as this process knows.
func (c *Conn) Ready(ctx context.Context) error {
	if s := c.NATS.Status(); s != nats.CONNECTED {
		return unready{text: fmt.Sprintf("NATS is %v", s)}
	}
	if at := c.violatedAt.Load(); at != 0 && time.Since(time.Unix(0, at)) < violationMemory {
		return unready{text: "NATS refused a permission"}
	}
	ctx, cancel := context.WithTimeout(ctx, APITimeout)
	defer cancel()
	if err := c.NATS.FlushWithContext(ctx); err != nil {
		return unready{"NATS does not answer", err}
	}
	return c.checkWrites()
}

// unready is why the connection cannot be used now.
type unready struct {
	text  string // without addresses and users
	cause error
}

func (e unready) Error() string {
	if e.cause == nil {
		return e.text
	}
	return e.text + ": " + e.cause.Error()
}

func (e unready) Unwrap() error { return e.cause }

// Public returns the text that anyone may read.
func (e unready) Public() string { return e.text }

// Stream returns the full name of a stream: WINDLASS_TURN for TURN.
func (c *Conn) Stream(suffix string) string { return topology.StreamName(c.Config.Prefix, suffix) }

// Subject puts the prefix before a subject's tail.
func (c *Conn) Subject(tail string) string { return subject.Join(c.Config.Prefix, tail) }
