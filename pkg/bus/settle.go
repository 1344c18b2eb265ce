package bus

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// settle tells the server what was decided, and nobody else does. An answer that does not arrive brings the message back
// after AckWait.
func (r *runner) settle(msg jetstream.Msg, d Decision) {
	var err error
	switch d.Action {
	case Ack:
		err = msg.Ack()
	case Nak:
		err = msg.Nak()
	case Term:
		err = msg.TermWithReason(d.Outcome)
	case Leave:
	}
	if err != nil {
		r.bus.log.Warn("acknowledgement not sent",
			zap.String("subject", msg.Subject()), zap.String("outcome", d.Outcome), zap.Error(err))
	}
	r.bus.metrics.handled.WithLabelValues(r.cfg.Work.consumer, d.Outcome).Inc()
}

// report logs one line per delivery.
func (r *runner) report(d *Delivery, decision Decision, took time.Duration, err error) {
	level := zapcore.InfoLevel
	switch {
	case decision.Action == Leave, decision.Outcome == "poison":
		level = zapcore.ErrorLevel
	case decision.Action == Nak && !r.draining():
		level = zapcore.WarnLevel
	}
	line := r.bus.log.Check(level, "message handled")
	if line == nil {
		return
	}
	id := d.identity()
	fields := []zap.Field{
		zap.String("kind", r.cfg.Work.kind.String()),
		zap.String("request_id", id.GetRequestId()), zap.Uint32("attempt", id.GetAttempt()), zap.Int("delivery", d.Delivered),
		zap.String("subject", d.Subject), zap.String("outcome", decision.Outcome), zap.Duration("took", took),
	}
	var handled *Handled
	switch {
	case !errors.As(err, &handled):
		fields = append(fields, zap.Error(err))
	case handled.Reason != "":
		fields = append(fields, zap.String("error", handled.Reason))
	}
	if d.Event != nil { // its subject does not name the step
		fields = append(fields, zap.String("step_id", numbers(id.GetEpoch(), id.GetTurn(), id.GetIndex(), id.GetAttempt())))
	}
	var crashed *crash
	if errors.As(err, &crashed) {
		fields = append(fields, zap.ByteString("stack", crashed.stack))
	}
	line.Write(fields...)
}
