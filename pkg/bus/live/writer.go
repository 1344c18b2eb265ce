package live

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/retry"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/internal/conn"
	"windlass.dev/windlass/pkg/bus/internal/topology"
	"windlass.dev/windlass/pkg/bus/message"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// liveMessage bounds the data of one message of live frames; with its
	// envelope below NATS's max_payload of 1 MiB.
	liveMessage = 512 << 10
	// liveFrames bounds the frames of one message.
	liveFrames = 1024
	// liveBuffer bounds what a writer holds until the bus has taken it. A
	// single frame may be larger.
	liveBuffer = 8 << 20
	// livePatience is how long a message is tried before its writer gives the
	// stream up.
	livePatience = 5 * time.Second
)

// ErrLost says that frames of a live stream are lost. The request is not:
// its answer is served from the row.
var ErrLost = errors.New("frames of the live stream are lost")

// Writer writes frames of one request, in order. One message is on its way
// at a time, and takes with it what was written meanwhile: an event that comes
// alone is sent alone, and a burst in few messages. If the bus does not take a
// message within 5 s, that message and all later ones are lost; readers see by
// the numbers of messages that something is missing. It is safe for concurrent
// use.
type Writer struct {
	conn   *conn.Conn
	writer *stepv1.LiveFrames // without frames
	nonce  string
	ctx    context.Context //nolint:containedctx // of the goroutine, which Close ends

	mu     sync.Mutex
	queue  []entry
	size   int
	lost   bool
	closed bool
	room   *sync.Cond // the queue became shorter, or the stream was lost

	wake chan struct{}
	done chan struct{}
}

// entry is a frame, or a flush that waits for those before it.
type entry struct {
	frame   *stepv1.LiveFrame
	flushed chan struct{}
}

// Open begins to write as the given attempt of a step; its index does not
// matter. The caller closes the writer, which waits for the goroutine that this
// starts. When ctx ends, what is not sent is lost.
func (s *Streams) Open(ctx context.Context, id *stepv1.StepIdentity) *Writer {
	w := &Writer{
		conn: s.conn, nonce: nuid.Next(), ctx: ctx, wake: make(chan struct{}, 1), done: make(chan struct{}),
		writer: &stepv1.LiveFrames{
			RequestId: id.GetRequestId(), Epoch: id.GetEpoch(), Turn: id.GetTurn(), Attempt: id.GetAttempt(),
		},
	}
	w.room = sync.NewCond(&w.mu)
	go w.run()
	return w
}

// Restart marks all that is written as the stream's new beginning: nothing of
// earlier attempts was found. It is called before Write.
func (w *Writer) Restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writer.Restarted = true
}

// Write queues frames. While 8 MiB are queued it waits for the bus: an answer
// of several MB is written four times (its deltas and three "done" events)
// faster than any bus takes it. The wait ends within 5 s, when the bus has
// taken a message or the stream is lost.
func (w *Writer) Write(frames ...*stepv1.LiveFrame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range frames {
		for !w.lost && w.size > 0 && w.size+len(f.GetData()) > liveBuffer {
			w.nudge()
			w.room.Wait()
		}
		if w.lost {
			continue
		}
		for _, part := range split(f) {
			w.queue = append(w.queue, entry{frame: part})
			w.size += len(part.GetData())
		}
	}
	w.nudge()
}

// Flush waits until everything written before is stored. ErrLost: it is
// not.
func (w *Writer) Flush(ctx context.Context) error {
	e := entry{flushed: make(chan struct{})}
	w.mu.Lock()
	w.queue = append(w.queue, e)
	w.nudge()
	w.mu.Unlock()
	select {
	case <-e.flushed:
	case <-w.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return ErrLost
	}
	return nil
}

// Close sends what is queued and ends the writer. Nothing may be written
// afterwards.
func (w *Writer) Close() {
	w.mu.Lock()
	w.closed = true
	w.nudge()
	w.mu.Unlock()
	<-w.done
}

func (w *Writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// split makes parts of a frame that does not fit a message.
func split(f *stepv1.LiveFrame) []*stepv1.LiveFrame {
	if len(f.GetData()) <= liveMessage {
		return []*stepv1.LiveFrame{f}
	}
	var parts []*stepv1.LiveFrame
	for data := f.GetData(); len(data) > 0; {
		n := min(len(data), liveMessage)
		parts = append(parts, &stepv1.LiveFrame{
			Type: f.GetType(), Key: f.GetKey(), Kind: f.GetKind(), Data: data[:n], More: n < len(data),
		})
		data = data[n:]
	}
	return parts
}

func (w *Writer) run() {
	defer close(w.done)
	for n := 0; ; {
		frames, flushed, more := w.take()
		if len(frames) > 0 {
			n++
			if err := w.send(frames, n); err != nil {
				w.dropQueue(err)
			}
		}
		for _, f := range flushed {
			close(f)
		}
		if more {
			continue
		}
		if w.ended() {
			return
		}
		<-w.wake
	}
}

// take takes what fits the next message, and the flushes behind it.
func (w *Writer) take() (frames []*stepv1.LiveFrame, flushed []chan struct{}, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size, n := 0, 0
	for _, e := range w.queue {
		if e.frame != nil {
			if len(frames) > 0 && (size+len(e.frame.GetData()) > liveMessage || len(frames) == liveFrames) {
				break
			}
			frames = append(frames, e.frame)
			size += len(e.frame.GetData())
		} else {
			flushed = append(flushed, e.flushed)
		}
		n++
	}
	w.queue = append(w.queue[:0], w.queue[n:]...)
	w.size -= size
	w.room.Broadcast()
	return frames, flushed, len(w.queue) > 0
}

func (w *Writer) ended() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed && len(w.queue) == 0
}

// dropQueue gives the stream up and drops what is queued.
func (w *Writer) dropQueue(cause error) {
	w.mu.Lock()
	w.lost = true
	kept := w.queue[:0]
	for _, e := range w.queue {
		if e.frame == nil {
			kept = append(kept, e)
		}
	}
	w.queue, w.size = kept, 0
	w.room.Broadcast()
	w.mu.Unlock()
	w.conn.Log.Warn("frames of a live stream lost",
		zap.String("request_id", w.writer.GetRequestId()), zap.Error(cause))
}

// send stores one message, once: its id tells the server a repeat.
func (w *Writer) send(frames []*stepv1.LiveFrame, n int) error {
	m := proto.CloneOf(w.writer)
	m.Frames, m.Number = frames, uint32(n)
	msg, err := message.Live(m).Encode(w.conn.Config.Prefix)
	if err != nil {
		return err
	}
	msg.Header.Set(nats.MsgIdHdr, w.nonce+"-"+strconv.Itoa(n))
	ctx, cancel := context.WithTimeout(w.ctx, livePatience)
	defer cancel()
	err = retry.Do(ctx, conn.Pauses, func(err error) bool { return !errors.Is(err, conn.ErrTooLarge) },
		func(ctx context.Context) error {
			return conn.MapPublishError(w.conn.PublishOne(ctx, topology.StreamLive, msg))
		})
	if err != nil {
		return fmt.Errorf("write live frames: %w", err)
	}
	return nil
}
