package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// repairGap, by half of it at least, keeps the repairs of one process
	// apart, and lets the server end the deletion of what is missing, which a
	// stream made again would not survive (see remake).
	repairGap = 500 * time.Millisecond
	// repairTimeout bounds one repair: a look at, and at worst the making of,
	// every stream and consumer.
	repairTimeout = 10 * time.Second
	firstPause    = 50 * time.Millisecond
	lastPause     = 2 * time.Second
)

// Codes of the JetStream API that pass by themselves while a cluster forms or
// elects.
const (
	codeNoPeers      jetstream.ErrorCode = 10005
	codeNotAvailable jetstream.ErrorCode = 10008
	codeNotLeader    jetstream.ErrorCode = 10009
)

// codeGeneral is the code of errors that have none of their own.
const codeGeneral jetstream.ErrorCode = 10051

// codeNoStorage says that the limits of all streams exceed the server's.
const codeNoStorage jetstream.ErrorCode = 10047

var errNoTopology = errors.New("topology is not known: Ensure was not called")

// Ensure makes or repairs all streams, and the consumers of a topology. What
// exists is changed where the server allows it and not deleted, but for a
// consumer just made that skips messages. Ensure waits for a server that is
// away, until ctx ends. The Bus keeps the topology for repairs, so a service
// calls Ensure at its start and whenever the topology changed.
func (b *Bus) Ensure(ctx context.Context, t Topology) error {
	if err := t.validate(); err != nil {
		return fmt.Errorf("check topology: %w", err)
	}
	b.mu.Lock()
	b.topology = t.clone()
	b.mu.Unlock()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := b.ensure(ctx)
		if err == nil || !isTransient(err) {
			return err
		}
		b.log.Warn("streams could not be ensured", zap.Error(err))
		if !sleep(ctx, pause) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// repair ensures what was ensured before. Callers that come while a repair runs
// share its result.
func (b *Bus) repair(ctx context.Context) error {
	asked := time.Now()
	select {
	case b.repairing <- struct{}{}:
		defer func() { <-b.repairing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if b.repairedAt.After(asked) {
		return b.repairErr
	}
	if !sleep(ctx, repairGap) {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	b.repairErr = b.ensure(ctx)
	b.repairedAt = time.Now()
	if b.repairErr == nil {
		b.log.Warn("streams were repaired")
	}
	return b.repairErr
}

// mend runs f; when f finds a stream or consumer missing, it repairs and runs f
// once more.
func (b *Bus) mend(ctx context.Context, f func(context.Context) error) error {
	err := f(ctx)
	if !isMissing(err) || b.repair(ctx) != nil {
		return err
	}
	return f(ctx)
}

func (b *Bus) ensure(ctx context.Context) error {
	b.mu.Lock()
	t := b.topology
	b.mu.Unlock()
	if t == nil {
		return errNoTopology
	}
	for _, s := range b.cfg.streams() {
		if err := b.ensureStream(ctx, s); err != nil {
			return fmt.Errorf("ensure stream %s: %w", s.Name, err)
		}
	}
	for _, c := range b.cfg.consumers(t) {
		if err := b.ensureConsumer(ctx, c); err != nil {
			return fmt.Errorf("ensure consumer %s of %s: %w", c.config.Name, c.stream, err)
		}
	}
	return nil
}

// ensureStream looks first: a service that may not make streams gets along with
// those that others made.
func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, 2*apiTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = b.js.CreateStream(ctx, want)
		return b.adviseStorage(want, err)
	}
	if err != nil {
		return err
	}
	have := s.CachedInfo().Config
	if next := mergeStream(have, want); !reflect.DeepEqual(have, next) {
		_, err = b.js.UpdateStream(ctx, next)
	}
	return b.adviseStorage(want, err)
}

// adviseStorage names the settings that decide whether the server has room for
// a stream's limit, which it reserves.
func (b *Bus) adviseStorage(want jetstream.StreamConfig, err error) error {
	if apiCode(err) != codeNoStorage {
		return err
	}
	suffix := strings.TrimPrefix(want.Name, b.stream(""))
	return fmt.Errorf("the server cannot reserve %d bytes: raise its max_file_store or lower %s: %w",
		want.MaxBytes, maxBytesSetting(suffix), err)
}

// mergeStream is what an existing stream should become. Retention and storage
// cannot change; replicas only grow, because an operator may have raised them.
func mergeStream(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	next := have
	next.Description, next.Subjects = want.Description, want.Subjects
	next.MaxMsgs, next.MaxBytes, next.MaxAge = want.MaxMsgs, want.MaxBytes, want.MaxAge
	next.MaxMsgsPerSubject, next.Discard, next.DiscardNewPerSubject = want.MaxMsgsPerSubject, want.Discard, want.DiscardNewPerSubject
	next.AllowDirect, next.RePublish = want.AllowDirect, want.RePublish
	if want.Duplicates > 0 {
		next.Duplicates = want.Duplicates
	}
	next.Replicas = max(have.Replicas, want.Replicas)
	next.Metadata = mergeMetadata(have.Metadata, want.Metadata)
	return next
}

func (b *Bus) ensureConsumer(ctx context.Context, want boundConsumer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*apiTimeout)
	defer cancel()
	c, err := b.js.Consumer(ctx, want.stream, want.config.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return b.makeConsumer(ctx, want)
	}
	if err != nil {
		return err
	}
	have := c.CachedInfo().Config
	if next := mergeConsumer(have, want.config); !reflect.DeepEqual(have, next) {
		_, err = b.js.UpdateConsumer(ctx, want.stream, next)
	}
	return err
}

// makeConsumer makes a consumer, and once more if it took over the position of
// an earlier one.
func (b *Bus) makeConsumer(ctx context.Context, want boundConsumer) error {
	for first := true; ; first = false {
		c, err := b.js.CreateConsumer(ctx, want.stream, want.config)
		if errors.Is(err, jetstream.ErrConsumerExists) {
			return nil // another service was faster and began its results at another time
		}
		if err != nil || !first {
			return err
		}
		if skips, err := b.skips(ctx, want.stream, c.CachedInfo()); err != nil || !skips {
			return err
		}
		b.log.Info("consumer began behind messages and is made again", zap.String("subject", want.stream+" "+want.config.Name))
		if err := b.js.DeleteConsumer(ctx, want.stream, want.config.Name); err != nil && !isMissing(err) {
			return err
		}
	}
}

// skips reports whether a consumer that has delivered nothing is past messages,
// so that it never will deliver them. The server reads the position of a
// consumer just made from its directory. When a stream lost its files, those of
// its last consumers may be left there, and be ahead of every message of the
// stream made again. A consumer that begins at a time may be past messages,
// too, and is past them again when it is made again.
func (b *Bus) skips(ctx context.Context, stream string, info *jetstream.ConsumerInfo) (bool, error) {
	if info.Delivered.Stream == 0 || info.Delivered.Last != nil {
		return false, nil
	}
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return false, err
	}
	return info.Delivered.Stream >= max(s.CachedInfo().State.FirstSeq, 1), nil
}

// mergeConsumer is what an existing consumer should become. Start, storage and
// MaxWaiting cannot change; a pause stays.
func mergeConsumer(have, want jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	next := have
	next.Description, next.FilterSubject, next.FilterSubjects = want.Description, want.FilterSubject, want.FilterSubjects
	next.AckWait, next.MaxDeliver, next.BackOff = want.AckWait, want.MaxDeliver, want.BackOff
	next.MaxAckPending = want.MaxAckPending
	next.Metadata = mergeMetadata(have.Metadata, want.Metadata)
	return next
}

// mergeMetadata keeps the entries the server or an operator added.
func mergeMetadata(have, want map[string]string) map[string]string {
	next := maps.Clone(have)
	if next == nil {
		next = make(map[string]string, len(want))
	}
	maps.Copy(next, want)
	return next
}

// isTransient reports whether an error passes by itself: the server is away, or
// a cluster forms or elects.
func isTransient(err error) bool {
	switch apiCode(err) {
	case codeNoPeers, codeNotAvailable, codeNotLeader,
		jetstream.JSErrCodeJetStreamNotEnabled, jetstream.JSErrCodeJetStreamNotEnabledForAccount:
		return true
	}
	return isUnanswered(err) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded) ||
		errors.Is(err, nats.ErrConnectionReconnecting) || isMissing(err)
}

// sleep waits between half and all of d, and reports whether ctx lives.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
