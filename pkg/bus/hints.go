package bus

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"windlass.dev/windlass/pkg/bus/subject"
)

// Hints travel on core NATS, without a stream. One that is lost costs a poll
// interval.
const (
	hintWake   = "ctl.wake"
	hintCancel = "ctl.cancel."
	hintDone   = "ctl.done."
)

// Wake tells claimers that a request was accepted.
func (b *Bus) Wake() { b.hint(hintWake) }

// CancelHint tells runners that a request was cancelled, after the commit that
// cancelled it.
func (b *Bus) CancelHint(requestID string) { b.hint(hintCancel + subject.Token(requestID)) }

// DoneHint tells gateways that a request reached its final status.
func (b *Bus) DoneHint(requestID string) { b.hint(hintDone + subject.Token(requestID)) }

func (b *Bus) hint(tail string) {
	_ = b.conn.NATS.Publish(b.conn.Subject(tail), nil) // fails while the server is away; a poll finds the change
}

// OnWake calls f for every wake hint, one at a time, until stop. f must be
// quick; a call may still run when stop returns.
func (b *Bus) OnWake(f func()) (stop func(), err error) {
	return b.onHint(hintWake, func(string) { f() })
}

// OnCancel calls f for every cancel hint, in the manner of OnWake.
func (b *Bus) OnCancel(f func(requestID string)) (stop func(), err error) {
	return b.onHint(hintCancel, f)
}

// OnDone calls f for every done hint, in the manner of OnWake.
func (b *Bus) OnDone(f func(requestID string)) (stop func(), err error) {
	return b.onHint(hintDone, f)
}

func (b *Bus) onHint(tail string, f func(requestID string)) (stop func(), err error) {
	subject := b.conn.Subject(tail)
	pattern := subject
	if strings.HasSuffix(subject, ".") {
		pattern += "*"
	}
	sub, err := b.conn.NATS.Subscribe(pattern, func(m *nats.Msg) { f(strings.TrimPrefix(m.Subject, subject)) })
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", pattern, err)
	}
	return func() {
		_ = sub.Unsubscribe() // fails only when the subscription or the connection has ended already
	}, nil
}
