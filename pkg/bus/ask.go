package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/subject"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// askSubject is followed by the pool. Questions travel on core NATS: one
	// that is lost is asked again.
	askSubject = "ask."
	// askGroup is the queue group of those who answer.
	askGroup = "answer"
	// askTimeout bounds the wait for one answer.
	askTimeout = 2 * time.Second
	// askQueue bounds the questions of a process that wait for an answer. More
	// are dropped, and asked again.
	askQueue = 1024
)

// Ask asks any process that runs Answer about a tool command of a pool. It
// waits up to 2 s. An error says nothing about the command: ask again.
func (b *Bus) Ask(ctx context.Context, pool string, q *stepv1.ToolQuestion) (*stepv1.ToolAnswer, error) {
	data, err := proto.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("encode question: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	msg, err := b.conn.NATS.RequestWithContext(ctx, b.conn.Subject(askSubject+subject.Token(pool)), data)
	if err != nil {
		return nil, fmt.Errorf("ask about a command of pool %s: %w", pool, err)
	}
	var a stepv1.ToolAnswer
	if err := proto.Unmarshal(msg.Data, &a); err != nil {
		return nil, fmt.Errorf("decode answer: %w", err)
	}
	return &a, nil
}

// Answer answers questions of all pools until ctx ends, up to slots at a time.
// A question whose answer fails gets none and is asked again. Answer returns
// nil after a drain, once all it began has ended.
func (b *Bus) Answer(
	ctx context.Context, slots int,
	answer func(context.Context, *stepv1.ToolQuestion) (*stepv1.ToolAnswer, error),
) error {
	questions := make(chan *nats.Msg, askQueue)
	sub, err := b.conn.NATS.ChanQueueSubscribe(b.conn.Subject(askSubject+"*"), askGroup, questions)
	if err != nil {
		return fmt.Errorf("subscribe to questions: %w", err)
	}
	var workers sync.WaitGroup
	for range slots {
		workers.Go(func() {
			for {
				select {
				case msg := <-questions:
					b.answer(ctx, msg, answer)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	<-ctx.Done()
	_ = sub.Unsubscribe() // fails only when the connection has ended already
	workers.Wait()
	return nil
}

func (b *Bus) answer(
	ctx context.Context, msg *nats.Msg,
	answer func(context.Context, *stepv1.ToolQuestion) (*stepv1.ToolAnswer, error),
) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	var q stepv1.ToolQuestion
	err := proto.Unmarshal(msg.Data, &q)
	var a *stepv1.ToolAnswer
	if err == nil {
		a, err = answer(ctx, &q)
	}
	var data []byte
	if err == nil {
		data, err = proto.Marshal(a)
	}
	if err == nil {
		err = msg.Respond(data)
	}
	if err != nil {
		b.conn.Log.Info("question not answered",
			zap.String("request_id", q.GetIdentity().GetRequestId()), zap.Error(err))
	}
}
