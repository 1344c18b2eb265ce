package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// One read of the stream is bounded: for a client, of which there may be
	// thousands, and for who reads all of it.
	backfillBatch, backfillBytes = 64, 256 << 10
	wholeBatch, wholeBytes       = 256, 1 << 20
	// liveReads bounds the reads of live streams that one connection makes at
	// once. A thousand clients who come to a long stream together would
	// otherwise be sent more than the connection takes, and the server ends one
	// that falls behind.
	liveReads = 4
	// lagTries and lagPause are for a replica that answers reads and does not
	// have yet what was stored.
	lagTries = 20
	lagPause = 50 * time.Millisecond
)

// LiveReader reads one request's live stream: what is stored, and then what
// comes, each message once and in order. It is not safe for concurrent use.
type LiveReader struct {
	bus     *Bus
	subject string
	tail    *liveTail
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

// ReadLive subscribes to a request's live stream. Every message stored after it
// returned is delivered; earlier ones are if Backfill is called. The caller
// closes the reader.
func (b *Bus) ReadLive(requestID string) (*LiveReader, error) {
	r := &LiveReader{
		bus: b, subject: b.subject(liveSubject(requestID).tail()), wake: make(chan struct{}, 1),
		batch: backfillBatch, bytes: backfillBytes,
	}
	if err := b.watch(r, b.subject(tailSubject(requestID))); err != nil {
		return nil, fmt.Errorf("read the live stream of %s: %w", requestID, err)
	}
	return r, nil
}

// Close ends the reading.
func (r *LiveReader) Close() { r.bus.unwatch(r) }

// Next returns the next message. It ends with ctx, with ErrLiveLost, or with an
// error of the infrastructure, after which it may be called again.
func (r *LiveReader) Next(ctx context.Context) (*stepv1.LiveFrames, error) {
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

// catchUp reads on where the tail has left something out. ErrLiveLost: what is
// known to have been stored is not there.
func (r *LiveReader) catchUp(ctx context.Context) error {
	was := r.last
	if err := r.Backfill(ctx); err != nil {
		return err
	}
	if r.last > was || r.owed <= r.last {
		r.missed = 0
		return nil
	}
	if r.missed++; r.missed > lagTries {
		return ErrLiveLost
	}
	if !sleep(ctx, lagPause) {
		return context.Cause(ctx)
	}
	return nil
}

// take takes in a message of the tail. One behind a gap, of what was stored
// before the reader came or was dropped because it did not read, is left to
// catchUp.
func (r *LiveReader) take(m tailMessage) error {
	switch {
	case m.err != nil:
		return m.err
	case m.seq <= r.last && m.at.After(r.at):
		return ErrLiveLost // the stream has begun anew
	case m.seq <= r.last:
		return nil
	case m.before != r.last:
		r.owed = m.seq
		return nil
	}
	r.keep(m.seq, m.at, m.frames)
	return nil
}

func (r *LiveReader) keep(seq uint64, at time.Time, frames *stepv1.LiveFrames) {
	r.last, r.at = seq, at
	r.pending = append(r.pending, frames)
}

// Backfill takes in what is stored behind the last message, up to a bound; Next
// reads on from there. Nothing new is a success.
func (r *LiveReader) Backfill(ctx context.Context) error {
	was := r.last
	read := func(ctx context.Context) ([]tailMessage, error) {
		return r.bus.readLive(ctx, r.subject, was+1, r.batch, r.bytes)
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

// readLive reads what is stored of a subject from a sequence on, up to both
// bounds. With an error come those before it.
func (b *Bus) readLive(ctx context.Context, subject string, from uint64, batch, bytes int) (all []tailMessage, err error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	select {
	case b.reads <- struct{}{}:
		defer func() { <-b.reads }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to read the live stream: %w", context.Cause(ctx))
	}
	stored, err := jetstreamext.GetBatch(ctx, b.js, b.stream(streamLive), batch,
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
		frames, err := decodeLive(msg.Data)
		if err != nil {
			return all, err
		}
		all = append(all, tailMessage{seq: msg.Sequence, at: msg.Time, frames: frames})
	}
	return all, nil
}

// Stored reads the request's whole stream as it stands, message by message, and
// returns the sequence of the last, 0 if there is none. It stops with take's
// first error.
func (b *Bus) Stored(ctx context.Context, requestID string, take func(*stepv1.LiveFrames) error) (last uint64, err error) {
	r := &LiveReader{bus: b, subject: b.subject(liveSubject(requestID).tail()), batch: wholeBatch, bytes: wholeBytes}
	for {
		if err := b.mend(ctx, r.Backfill); err != nil {
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

// EndLive stores a message, the one with the last frame, behind the message of
// the given sequence (0: as the first). It returns false when there is a later
// one: read again what there is.
func (b *Bus) EndLive(ctx context.Context, m *stepv1.LiveFrames, behind uint64) (ended bool, err error) {
	msg, err := b.encode(Live(m))
	if err != nil {
		return false, err
	}
	err = b.publishBehind(ctx, streamLive, msg, behind)
	switch code := apiCode(err); {
	case err == nil:
		return true, nil
	case code == jetstream.JSErrCodeStreamWrongLastSequence, code == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return false, nil
	}
	return false, fmt.Errorf("end the live stream of %s: %w", m.GetRequestId(), mapPublishError(err))
}

// PurgeLive deletes a request's live stream.
func (b *Bus) PurgeLive(ctx context.Context, requestID string) error {
	return b.purge(ctx, requestID, map[string]string{streamLive: liveSubject(requestID).tail()})
}
