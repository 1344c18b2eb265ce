package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"windlass.dev/windlass/pkg/retry"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"windlass.dev/windlass/pkg/bus/internal/conn"
	"windlass.dev/windlass/pkg/bus/internal/topology"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/bus/subject"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// One read of the stream is bounded: for a client, of which there may be
	// thousands, and for a caller that reads all of it.
	backfillBatch, backfillBytes = 64, 64 << 10
	wholeBatch, wholeBytes       = 256, 1 << 20
	// liveReads bounds the reads of live streams that one connection makes at
	// once. A thousand clients who come to a long stream together would
	// otherwise be sent more than the connection takes, and the server ends one
	// that falls behind.
	liveReads = 4
	// lagTries and lagPause are for a replica that answers reads and does not
	// have yet what was stored.
	lagTries = 20
	lagPause = 40 * time.Millisecond
)

// Reader reads one request's live stream: what is stored, and then what
// comes, each message once and in order. It is not safe for concurrent use.
type Reader struct {
	streams *Streams
	subject string
	tail    *tail
	heard   uint64        // messages of the tail that were taken, or have passed
	wake    chan struct{} // holds one token when the tail has heard something
	batch   int
	bytes   int
	pending []*stepv1.LiveFrames
	last    uint64    // sequence of the last message taken in
	at      time.Time // when that was stored, by the server's clock
	owed    uint64    // sequence of a message that is known to be stored
	more    bool      // the last read found something: there may be more behind it
	missed  int       // reads in a row that did not find what is owed
}

// Read subscribes to a request's live stream. Every message stored after it
// returned is delivered; earlier ones are if Backfill is called. The caller
// closes the reader.
func (s *Streams) Read(requestID string) (*Reader, error) {
	r := &Reader{
		streams: s, subject: s.conn.Subject(subject.ForLive(requestID).Tail()), wake: make(chan struct{}, 1),
		batch: backfillBatch, bytes: backfillBytes,
	}
	if err := s.watch(r, s.conn.Subject(subject.LiveTail(requestID))); err != nil {
		return nil, fmt.Errorf("read the live stream of %s: %w", requestID, err)
	}
	return r, nil
}

// Close ends the reading.
func (r *Reader) Close() { r.streams.unwatch(r) }

// Next returns the next message. It ends with ctx, with ErrLost, or with an
// error of the infrastructure, after which it may be called again.
func (r *Reader) Next(ctx context.Context) (*stepv1.LiveFrames, error) {
	for len(r.pending) == 0 {
		if r.more || r.owed > r.last {
			if err := r.catchUp(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if m, ok := r.tail.next(&r.heard); ok {
			if err := r.take(m); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	m := r.pending[0]
	r.pending = r.pending[1:]
	return m, nil
}

// catchUp reads on where the tail has left something out. ErrLost: what is
// known to have been stored is not there.
func (r *Reader) catchUp(ctx context.Context) error {
	was := r.last
	if err := r.Backfill(ctx); err != nil {
		return err
	}
	if r.last > was || r.owed <= r.last {
		r.missed = 0
		return nil
	}
	if r.missed++; r.missed > lagTries {
		return ErrLost
	}
	if !retry.Sleep(ctx, lagPause) {
		return context.Cause(ctx)
	}
	return nil
}

// take takes in a message of the tail. One behind a gap, of what was stored
// before the reader came or was dropped because it did not read, is left to
// catchUp.
func (r *Reader) take(m tailMessage) error {
	switch {
	case m.seq <= r.last && m.at.After(r.at):
		return ErrLost // the stream was created again
	case m.seq <= r.last:
		return nil
	case m.before != r.last:
		r.owed = m.seq
		return nil
	}
	r.keep(m.seq, m.at, m.frames)
	return nil
}

func (r *Reader) keep(seq uint64, at time.Time, frames *stepv1.LiveFrames) {
	r.last, r.at = seq, at
	r.pending = append(r.pending, frames)
}

// Backfill takes in what is stored behind the last message, up to a bound; Next
// reads on from there. Nothing new is a success.
func (r *Reader) Backfill(ctx context.Context) error {
	was := r.last
	read := func(ctx context.Context) ([]tailMessage, error) {
		return r.streams.readStored(ctx, r.subject, was+1, r.batch, r.bytes)
	}
	var all []tailMessage
	var err error
	if r.tail != nil {
		all, err = r.tail.share(ctx, was, read)
	} else {
		all, err = read(ctx)
	}
	for _, m := range all {
		r.keep(m.seq, m.at, m.frames)
	}
	r.more = r.last > was
	return err
}

// readStored reads what is stored of a subject from a sequence on, up to both
// bounds. With an error come those before it.
func (s *Streams) readStored(
	ctx context.Context, subject string, from uint64, batch, bytes int,
) (all []tailMessage, err error) {
	ctx, cancel := context.WithTimeout(ctx, conn.APITimeout)
	defer cancel()
	select {
	case s.reads <- struct{}{}:
		defer func() { <-s.reads }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to read the live stream: %w", context.Cause(ctx))
	}
	stored, err := jetstreamext.GetBatch(ctx, s.conn.JS, s.conn.Stream(topology.StreamLive), batch,
		jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchMaxBytes(bytes))
	if err != nil {
		return nil, fmt.Errorf("read the live stream: %w", err)
	}
	for msg, err := range stored {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("read the live stream: %w", err)
		}
		all = append(all, tailMessage{seq: msg.Sequence, at: msg.Time, frames: s.decode(msg.Subject, msg.Data)})
	}
	return all, nil
}

// Stored reads the request's whole stream, message by message, and
// returns the sequence of the last, 0 without one. It stops with take's
// first error.
func (s *Streams) Stored(
	ctx context.Context, requestID string, take func(*stepv1.LiveFrames) error,
) (last uint64, err error) {
	r := &Reader{
		streams: s, subject: s.conn.Subject(subject.ForLive(requestID).Tail()),
		batch: wholeBatch, bytes: wholeBytes,
	}
	for {
		if err := s.conn.Mend(ctx, r.Backfill); err != nil {
			return r.last, err
		}
		if len(r.pending) == 0 {
			return r.last, nil
		}
		for _, m := range r.pending {
			if err := take(m); err != nil {
				return r.last, err
			}
		}
		r.pending = r.pending[:0]
	}
}

// IsEmpty reports whether nothing of a request's stream is stored.
func (s *Streams) IsEmpty(ctx context.Context, requestID string) (bool, error) {
	var found []tailMessage
	err := s.conn.Mend(ctx, func(ctx context.Context) (err error) {
		found, err = s.readStored(ctx, s.conn.Subject(subject.ForLive(requestID).Tail()), 1, 1, wholeBytes)
		return err
	})
	return len(found) == 0, err
}

// End stores a message, the one with the last frame, behind the message of
// the given sequence (0: as the first). It returns false when there is a later
// one: read again what there is.
func (s *Streams) End(ctx context.Context, m *stepv1.LiveFrames, behind uint64) (ended bool, err error) {
	msg, err := message.Live(m).Encode(s.conn.Config.Prefix)
	if err != nil {
		return false, err
	}
	err = s.conn.PublishBehind(ctx, topology.StreamLive, msg, behind)
	switch code := conn.APICode(err); {
	case err == nil:
		return true, nil
	case code == jetstream.JSErrCodeStreamWrongLastSequence, code == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return false, nil
	}
	return false, fmt.Errorf("end the live stream of %s: %w", m.GetRequestId(), conn.MapPublishError(err))
}

// Purge deletes a request's live stream.
func (s *Streams) Purge(ctx context.Context, requestID string) error {
	return s.conn.Purge(ctx, requestID, map[string]string{topology.StreamLive: subject.ForLive(requestID).Tail()})
}
