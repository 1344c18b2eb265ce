package topology

import (
	"errors"
	"fmt"
	"net"
	"time"

	"windlass.dev/windlass/pkg/bus/subject"
)

const (
	// minAckWait keeps the renewals, three to an AckWait, apart from the
	// server's own timer granularity.
	minAckWait = 100 * time.Millisecond
	// maxReplicas is what JetStream allows.
	maxReplicas = 5
)

// Config says where the bus is and how its streams are made. All services of
// an installation use the same Prefix, Replicas, AckWait and MaxBytes.
type Config struct {
	// URL of one or more NATS servers, separated by commas. Unused when
	// InProcess is set.
	URL string `env:"WINDLASS_NATS_URL, default=nats://127.0.0.1:4222"`
	// Prefix of all subjects and, in upper case, of all streams. One subject
	// token.
	Prefix string `env:"WINDLASS_NATS_PREFIX, default=windlass"`
	// Creds is the path of a credentials file; empty means none.
	Creds string `env:"WINDLASS_NATS_CREDS"`
	// Replicas of every stream. An existing stream with more keeps them.
	Replicas int `env:"WINDLASS_NATS_REPLICAS, default=1"`
	// AckWait is how long a message stays leased to a worker that says nothing.
	// It is renewed every third of it.
	AckWait time.Duration `env:"WINDLASS_ACK_WAIT, default=4s"`
	// MaxBytes bounds the streams.
	MaxBytes MaxBytes
	// InProcess, if set, is the server to connect to without a socket. A
	// *server.Server of nats-server fits.
	InProcess InProcess
}

// MaxBytes bounds each stream, in bytes. The server reserves the sum of them,
// for each replica: with a smaller Step they fit a JetStream of 1 GB. The
// package doc says what each stream does at its limit.
type MaxBytes struct {
	Turn  int64 `env:"WINDLASS_TURN_MAX_BYTES, default=67108864"`
	Tool  int64 `env:"WINDLASS_TOOL_MAX_BYTES, default=134217728"`
	Final int64 `env:"WINDLASS_FINAL_MAX_BYTES, default=33554432"`
	Step  int64 `env:"WINDLASS_STEP_MAX_BYTES, default=1073741824"`
	Mark  int64 `env:"WINDLASS_MARK_MAX_BYTES, default=201326592"`
	Live  int64 `env:"WINDLASS_LIVE_MAX_BYTES, default=402653184"`
	Dead  int64 `env:"WINDLASS_DEAD_MAX_BYTES, default=33554432"`
}

// of returns the limit of a stream by its name after the prefix.
func (m *MaxBytes) of(stream string) int64 {
	switch stream {
	case StreamTurn:
		return m.Turn
	case StreamTool:
		return m.Tool
	case StreamFinal:
		return m.Final
	case StreamStep:
		return m.Step
	case StreamMark:
		return m.Mark
	case StreamLive:
		return m.Live
	default:
		return m.Dead
	}
}

func (m *MaxBytes) validate() error {
	var errs []error
	for _, stream := range StreamNames {
		if n := m.of(stream); n < 1 {
			errs = append(errs, fmt.Errorf("%s is %d, want at least 1", MaxBytesSetting(stream), n))
		}
	}
	return errors.Join(errs...)
}

// MaxBytesSetting is the environment variable that bounds a stream.
func MaxBytesSetting(stream string) string { return "WINDLASS_" + stream + "_MAX_BYTES" }

// InProcess gives connections to a NATS server in the same process.
type InProcess interface {
	InProcessConn() (net.Conn, error)
}

// Validate reports every fault of the configuration at once.
func (c *Config) Validate() error {
	var errs []error
	if c.URL == "" && c.InProcess == nil {
		errs = append(errs, errors.New("WINDLASS_NATS_URL is empty"))
	}
	if !subject.IsToken(c.Prefix) {
		errs = append(errs, fmt.Errorf("WINDLASS_NATS_PREFIX is %q, want letters, digits, - and _", c.Prefix))
	}
	if c.Replicas < 1 || c.Replicas > maxReplicas {
		errs = append(errs, fmt.Errorf("WINDLASS_NATS_REPLICAS is %d, want 1 to %d", c.Replicas, maxReplicas))
	}
	if c.AckWait < minAckWait {
		errs = append(errs, fmt.Errorf("WINDLASS_ACK_WAIT is %v, want at least %v", c.AckWait, minAckWait))
	}
	return errors.Join(append(errs, c.MaxBytes.validate())...)
}
