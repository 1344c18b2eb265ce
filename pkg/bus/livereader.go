package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"google.golang.org/protobuf/proto"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// tailMessages bounds what one reader that does not read holds in memory; it reads the stream again later. (The channel of a
	// synchronous subscription would take 512 kB, empty.)
	tailMessages = 64
	// One read of the stream is bounded: for a client, of which there may be thousands, and for who reads all of it.
	backfillBatch, backfillBytes = 64, 256 << 10
	wholeBatch, wholeBytes       = 256, 1 << 20
	// lagTries and lagPause are for a replica that answers reads and does not have yet what was stored.
	lagTries = 20
	lagPause = 50 * time.Millisecond
)

// Headers of republished messages.
const (
	headerSequence     = "Nats-Sequence"
	headerLastSequence = "Nats-Last-Sequence"
)

// LiveReader reads one request's live stream: what is stored, and then what comes, each message once and in order. It is not
// safe for concurrent use.
type LiveReader struct {
	bus     *Bus
	subject string
	sub     *nats.Subscription
	tail    chan *nats.Msg
	batch   int
	bytes   int
	pending []*stepv1.LiveFrames
	last    uint64    // sequence of the last message taken in
	at      time.Time // when that was stored, by the server's clock
	owed    uint64    // sequence of a message that is known to be stored
	more    bool      // the last read found something: there may be more behind it
	missed  int       // reads in a row that did not find what is owed
}

// ReadLive subscribes to a request's live stream. Every message stored after it returned is delivered; earlier ones are if
// Backfill is called. The caller closes the reader.
func (b *Bus) ReadLive(requestID string) (*LiveReader, error) {
	tail := make(chan *nats.Msg, tailMessages)
	sub, err := b.nc.ChanSubscribe(b.subject(tailSubject(requestID)), tail)
	if err != nil {
		return nil, fmt.Errorf("subscribe to the live stream of %s: %w", requestID, err)
	}
	return &LiveReader{
		bus: b, subject: b.subject(liveSubject(requestID).tail()), sub: sub, tail: tail, batch: backfillBatch, bytes: backfillBytes,
	}, nil
}

// Close ends the subscription.
func (r *LiveReader) Close() {
	_ = r.sub.Unsubscribe() // fails only when the connection has ended already
}

// Next returns the next message. It ends with ctx, with ErrLiveLost, or with an error of the infrastructure, after which it may be
// called again.
func (r *LiveReader) Next(ctx context.Context) (*stepv1.LiveFrames, error) {
	for len(r.pending) == 0 {
		if r.more || r.owed > r.last {
			if err := r.catchUp(ctx); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case msg := <-r.tail:
			if err := r.take(msg); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	m := r.pending[0]
	r.pending = r.pending[1:]
	return m, nil
}

// catchUp reads on where the tail has left something out. ErrLiveLost: what is known to have been stored is not there.
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

// take takes in a message of the tail. One behind a gap, of what was stored before the reader came or was dropped because it did not
// read, is left to catchUp.
func (r *LiveReader) take(msg *nats.Msg) error {
	seq, err := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
	before, err2 := strconv.ParseUint(msg.Header.Get(headerLastSequence), 10, 64)
	at, err3 := time.Parse(time.RFC3339Nano, msg.Header.Get(nats.JSTimeStamp))
	if err := errors.Join(err, err2, err3); err != nil {
		return fmt.Errorf("read the place of a live message: %w", err)
	}
	switch {
	case seq <= r.last && at.After(r.at):
		return ErrLiveLost // the stream has begun anew
	case seq <= r.last:
		return nil
	case before != r.last:
		r.owed = seq
		return nil
	}
	return r.keep(seq, at, msg.Data)
}

func (r *LiveReader) keep(seq uint64, at time.Time, data []byte) error {
	var frames stepv1.LiveFrames
	if err := proto.Unmarshal(data, &frames); err != nil {
		return fmt.Errorf("decode live frames: %w", err)
	}
	r.last, r.at = seq, at
	r.pending = append(r.pending, &frames)
	return nil
}

// Backfill takes in what is stored behind the last message, up to a bound; Next reads on from there. Nothing new is a success.
func (r *LiveReader) Backfill(ctx context.Context) error {
	was := r.last
	defer func() { r.more = r.last > was }()
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stored, err := jetstreamext.GetBatch(ctx, r.bus.js, r.bus.stream(streamLive), r.batch,
		jetstreamext.GetBatchSubject(r.subject), jetstreamext.GetBatchSeq(r.last+1), jetstreamext.GetBatchMaxBytes(r.bytes))
	if err != nil {
		return fmt.Errorf("read the live stream: %w", err)
	}
	for msg, err := range stored {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil
		}
		if err == nil {
			err = r.keep(msg.Sequence, msg.Time, msg.Data)
		}
		if err != nil {
			return fmt.Errorf("read the live stream: %w", err)
		}
	}
	return nil
}

// Stored reads the request's whole stream as it stands, message by message, and returns the sequence of the last, 0 if there is
// none. It stops with take's first error.
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

// EndLive stores a message, the one with the last frame, behind the message of the given sequence (0: as the first). It returns
// false when there is a later one: read again what there is.
func (b *Bus) EndLive(ctx context.Context, m *stepv1.LiveFrames, behind uint64) (ended bool, err error) {
	msg, err := b.encode(Live(m))
	if err != nil {
		return false, err
	}
	err = b.publishBehind(ctx, msg, behind)
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
