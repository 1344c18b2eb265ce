package live

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/subject"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// tailMessages and tailBytes bound what is held in memory for the readers
	// of one stream; who falls further behind reads the stream again.
	tailMessages, tailBytes = 64, 1 << 20
	// The messages of one stream that wait to be decoded.
	unreadMessages, unreadBytes = 1024, 8 << 20
)

// Headers of republished messages.
const (
	headerSequence     = "Nats-Sequence"
	headerLastSequence = "Nats-Last-Sequence"
)

// tail is what a connection hears of one request's live stream. All its readers
// share one subscription and what is decoded: a thousand who watch the same
// response cost the connection what one does, and those who do not read cost
// nothing.
type tail struct {
	streams *Streams
	subject string
	sub     *nats.Subscription
	reads   singleflight.Group // of what is stored, by the message behind which they read

	mu      sync.Mutex
	readers map[*Reader]struct{}
	recent  []tailMessage // the last ones heard, bounded
	bytes   int           // of those
	heard   uint64        // messages so far, the last of them in recent
}

// tailMessage is a message of the live stream. Its frames are shared, and not
// to be changed. What only the tail needs, before and size, is left out of
// those that were read from the stream.
type tailMessage struct {
	seq, before uint64    // its place, and that of the one before it, in the stream
	at          time.Time // when it was stored, by the server's clock
	frames      *stepv1.LiveFrames
	size        int
}

// watch adds a reader to its stream's tail. The first one subscribes.
func (s *Streams) watch(r *Reader, on string) error {
	s.tails.Lock()
	defer s.tails.Unlock()
	t := s.tails.of[on]
	if t == nil {
		t = &tail{streams: s, subject: on, readers: map[*Reader]struct{}{}}
		var err error
		if t.sub, err = s.conn.NATS.Subscribe(on, t.receive); err != nil {
			return fmt.Errorf("subscribe to %s: %w", on, err)
		}
		if err := t.sub.SetPendingLimits(unreadMessages, unreadBytes); err != nil {
			return errors.Join(fmt.Errorf("bound what waits of %s: %w", on, err), t.sub.Unsubscribe())
		}
		s.tails.of[on] = t
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.readers[r] = struct{}{}
	r.tail, r.heard = t, t.heard
	return nil
}

// unwatch takes a reader off its tail. The last one ends the subscription.
func (s *Streams) unwatch(r *Reader) {
	s.tails.Lock()
	defer s.tails.Unlock()
	t := r.tail
	t.mu.Lock()
	delete(t.readers, r)
	left := len(t.readers)
	t.mu.Unlock()
	if left == 0 && s.tails.of[t.subject] == t {
		delete(s.tails.of, t.subject)
		_ = t.sub.Unsubscribe() // fails only when the connection has ended already
	}
}

// receive takes in a message and wakes the readers that wait for one.
func (t *tail) receive(msg *nats.Msg) {
	m, ok := t.streams.readTail(msg)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recent = append(t.recent, m)
	t.bytes += m.size
	t.heard++
	for len(t.recent) > tailMessages || t.bytes > tailBytes && len(t.recent) > 1 {
		t.bytes -= t.recent[0].size
		t.recent[0] = tailMessage{} // the array lives on for a while
		t.recent = t.recent[1:]
	}
	for r := range t.readers {
		select {
		case r.wake <- struct{}{}:
		default: // it was woken and has not looked yet
		}
	}
}

// next returns the first message that a reader has not had, or the oldest one
// there is.
func (t *tail) next(heard *uint64) (m tailMessage, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.heard - uint64(len(t.recent))
	*heard = max(*heard, first)
	if *heard == t.heard {
		return tailMessage{}, false
	}
	m = t.recent[*heard-first]
	*heard++
	return m, true
}

// share reads what is stored behind a message, once for all readers at that
// place: those who come to a long stream together read it together. A read that
// started before is as good as a new one, because a reader that misses
// something reads again.
func (t *tail) share(
	ctx context.Context, behind uint64, read func(context.Context) ([]tailMessage, error),
) ([]tailMessage, error) {
	done := t.reads.DoChan(strconv.FormatUint(behind, 10), func() (any, error) {
		return read(context.WithoutCancel(ctx)) // others wait for it when this reader has gone
	})
	select {
	case r := <-done:
		all, _ := r.Val.([]tailMessage)
		return all, r.Err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// readTail reads a message of the tail. ok is false if the stream did not
// republish it: a message without a place was sent beside the stream.
func (s *Streams) readTail(msg *nats.Msg) (m tailMessage, ok bool) {
	seq, err := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
	before, err2 := strconv.ParseUint(msg.Header.Get(headerLastSequence), 10, 64)
	at, err3 := time.Parse(time.RFC3339Nano, msg.Header.Get(nats.JSTimeStamp))
	if errors.Join(err, err2, err3) != nil {
		s.conn.Metrics.CountJunk()
		return tailMessage{}, false
	}
	frames := s.decode(msg.Subject, msg.Data)
	return tailMessage{seq: seq, before: before, at: at, frames: frames, size: len(msg.Data)}, true
}

// decode decodes the frames of a message whose subject ends in the request. A
// message that no writer of the request has written is dropped: it keeps its
// place in the stream, and has no frames.
func (s *Streams) decode(of string, data []byte) *stepv1.LiveFrames {
	var frames stepv1.LiveFrames
	err := proto.Unmarshal(data, &frames)
	if err == nil && subject.Token(frames.GetRequestId()) == of[strings.LastIndexByte(of, '.')+1:] {
		return &frames
	}
	s.conn.Metrics.CountJunk()
	return &stepv1.LiveFrames{}
}
