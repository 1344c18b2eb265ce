package topology

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"windlass.dev/windlass/pkg/bus/subject"
)

// Names of the streams, after the prefix.
const (
	StreamTurn  = "TURN"
	StreamTool  = "TOOL"
	StreamFinal = "FINAL"
	StreamStep  = "STEP"
	StreamMark  = "MARK"
	StreamLive  = "LIVE"
	StreamDead  = "DEAD"
)

// StreamNames are the names of all streams, after the prefix.
var StreamNames = []string{StreamTurn, StreamTool, StreamFinal, StreamStep, StreamMark, StreamLive, StreamDead}

// Names of the consumers; those of lanes and pools are followed by a name.
const (
	consumerTurn    = "turn_"
	consumerTool    = "tool_"
	ConsumerFinal   = "final"
	ConsumerResults = "step_results"
)

const (
	// StepMaxAge is how long events of steps stay, with the tool results in
	// them, and marks.
	StepMaxAge = 72 * time.Hour
	// liveMaxAge is a backstop: live streams are purged once archived.
	liveMaxAge = 24 * time.Hour
	// liveDuplicates is how long the ids of live messages are remembered, in
	// memory: longer than a writer repeats one.
	liveDuplicates = 10 * time.Second
	deadMaxAge     = 30 * 24 * time.Hour
	deadMaxMsgs    = 1_000_000

	// maxWaiting pull requests per consumer; the server's default of 512 is
	// less than a large installation's pullers.
	maxWaiting = 4096
	// maxAckPending of every consumer but the lanes'.
	maxAckPending = 10_000
	// memoryReplicas is the number of replicas from which on consumers keep
	// their state in memory: the others have it, and fsync of consumer state is
	// what costs most (measured: fetch and ack 5.0 ms against 1.3 ms). A single
	// server's memory consumer would vanish at its restart.
	memoryReplicas = 3
)

// Topology is what a service needs to exist besides the streams: consumers for
// lanes and pools.
type Topology struct {
	Lanes []Lane
	Pools []string
	// ResultsSince is where the consumer of tool results begins if it has to be
	// made: the acceptance of the oldest live request, by the clock of this
	// process. Only the time since then counts, by the server's clock. Zero
	// means at the beginning of the stream.
	ResultsSince time.Time
}

// Lane is a queue of turns that share a model's capacity.
type Lane struct {
	Name string
	// Concurrency is the number of turns in flight over all services together,
	// at least 1.
	Concurrency int
}

// Validate reports every fault of the topology at once.
func (t *Topology) Validate() error {
	var errs []error
	for _, l := range t.Lanes {
		if l.Concurrency < 1 {
			errs = append(errs, fmt.Errorf("lane %q has concurrency %d, want at least 1", l.Name, l.Concurrency))
		}
	}
	return errors.Join(errs...)
}

// Clone returns a copy that shares nothing with t.
func (t *Topology) Clone() *Topology {
	return &Topology{Lanes: slices.Clone(t.Lanes), Pools: slices.Clone(t.Pools), ResultsSince: t.ResultsSince}
}

// StreamName returns the full name of a stream: WINDLASS_TURN for TURN.
func StreamName(prefix, suffix string) string { return strings.ToUpper(prefix) + "_" + suffix }

// LaneConsumer returns the name of the consumer of a lane's turns.
func LaneConsumer(lane string) string { return consumerTurn + subject.Token(lane) }

// PoolConsumer returns the name of the consumer of a pool's tool calls.
func PoolConsumer(pool string) string { return consumerTool + subject.Token(pool) }

// Streams returns the configurations of all streams.
func (c *Config) Streams() []jetstream.StreamConfig {
	live := c.limits(StreamLive, "live frames of streamed responses, until they are archived", liveMaxAge, "live.*")
	live.Duplicates = liveDuplicates
	live.RePublish = &jetstream.RePublish{
		Source: c.Prefix + ".live.*", Destination: c.Prefix + ".tail.{{wildcard(1)}}",
	}
	// The longer form, with the identity, is that of earlier versions, which
	// may run beside this one.
	step := c.limits(StreamStep, "what happened to every step; tool results themselves", StepMaxAge,
		"step.*.*.*", "step.*.*.*.*")
	mark := c.limits(StreamMark, "at_most_once calls that were begun", StepMaxAge, "mark.*.*.*")
	mark.MaxMsgsPerSubject, mark.Discard, mark.DiscardNewPerSubject = 1, jetstream.DiscardNew, true
	dead := c.limits(StreamDead, "steps given up, for people", deadMaxAge, "dead.>")
	dead.MaxMsgs = deadMaxMsgs
	for _, s := range []string{StreamTurn, StreamTool, StreamFinal, StreamStep} {
		dead.Subjects = append(dead.Subjects,
			"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES."+StreamName(c.Prefix, s)+".>",
			"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED."+StreamName(c.Prefix, s)+".>")
	}
	return []jetstream.StreamConfig{
		c.queue(StreamTurn, "turns that are due, one message per attempt of a turn", "turn.*.*.*"),
		c.queue(StreamTool, "tool calls that are due, one message per attempt of a call", "tool.*.*.*.*"),
		c.queue(StreamFinal, "requests to settle, and deliveries of webhooks", "final.*.*", "hook.*"),
		step, mark, live, dead,
	}
}

// queue is a work queue that keeps one message per subject and refuses a
// second.
func (c *Config) queue(suffix, description string, tails ...string) jetstream.StreamConfig {
	s := c.base(suffix, description, tails...)
	s.Retention = jetstream.WorkQueuePolicy
	s.MaxMsgsPerSubject = 1
	s.Discard = jetstream.DiscardNew
	s.DiscardNewPerSubject = true
	return s
}

// limits is a stream that drops its oldest messages at its limits.
func (c *Config) limits(suffix, description string, maxAge time.Duration, tails ...string) jetstream.StreamConfig {
	s := c.base(suffix, description, tails...)
	s.Retention = jetstream.LimitsPolicy
	s.MaxAge = maxAge
	return s
}

func (c *Config) base(suffix, description string, tails ...string) jetstream.StreamConfig {
	subjects := make([]string, len(tails))
	for i, t := range tails {
		subjects[i] = c.Prefix + "." + t
	}
	return jetstream.StreamConfig{
		Name: StreamName(c.Prefix, suffix), Description: "Windlass: " + description,
		Metadata: metadata(), Subjects: subjects,
		Storage: jetstream.FileStorage, Replicas: c.Replicas, AllowDirect: true,
		MaxMsgs: -1, MaxBytes: c.MaxBytes.of(suffix), MaxMsgsPerSubject: -1, MaxConsumers: -1,
	}
}

// Consumer is a consumer and the stream it reads.
type Consumer struct {
	Stream string
	Config jetstream.ConsumerConfig
}

// Consumers returns the configurations of all consumers of a topology.
func (c *Config) Consumers(t *Topology) []Consumer {
	var all []Consumer
	add := func(suffix, name, description string, pending int, tails ...string) *jetstream.ConsumerConfig {
		cc := jetstream.ConsumerConfig{
			Name: name, Durable: name, Description: "Windlass: " + description, Metadata: metadata(),
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait, MaxDeliver: -1,
			MaxWaiting: maxWaiting, MaxAckPending: pending, MemoryStorage: c.Replicas >= memoryReplicas,
		}
		for _, t := range tails {
			cc.FilterSubjects = append(cc.FilterSubjects, c.Prefix+"."+t)
		}
		if len(tails) == 1 {
			cc.FilterSubject, cc.FilterSubjects = cc.FilterSubjects[0], nil
		}
		all = append(all, Consumer{StreamName(c.Prefix, suffix), cc})
		return &all[len(all)-1].Config
	}
	for _, l := range t.Lanes {
		add(StreamTurn, LaneConsumer(l.Name), "turns of lane "+l.Name, l.Concurrency,
			"turn."+subject.Token(l.Name)+".>")
	}
	for _, p := range t.Pools {
		add(StreamTool, PoolConsumer(p), "tool calls of pool "+p, maxAckPending, "tool."+subject.Token(p)+".>")
	}
	add(StreamFinal, ConsumerFinal, "requests to settle", maxAckPending, "final.>")
	results := add(StreamStep, ConsumerResults, "tool results to commit", maxAckPending,
		"step.*.*."+subject.EventToolCompleted, "step.*.*."+subject.EventToolFailed,
		"step.*.*.*."+subject.EventToolCompleted, "step.*.*.*."+subject.EventToolFailed)
	if !t.ResultsSince.IsZero() {
		results.DeliverPolicy = jetstream.DeliverByStartTimePolicy
		results.OptStartTime = &t.ResultsSince
	}
	return all
}

func metadata() map[string]string { return map[string]string{"windlass.dev/managed-by": "windlass"} }
