package consume

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"windlass.dev/windlass/pkg/bus/subject"
)

// settle sends the decision to the server; no other code does. An answer
// that does not arrive brings the message back after AckWait.
func (r *runner) settle(msg jetstream.Msg, d decision) {
	var err error
	switch d.action {
	case ack:
		err = msg.Ack()
	case nak:
		err = msg.Nak()
	case term:
		err = msg.TermWithReason(d.outcome)
	case leave:
	}
	if err != nil {
		r.Conn.Log.Warn("acknowledgement not sent",
			zap.String("subject", msg.Subject()), zap.String("outcome", d.outcome), zap.Error(err))
	}
	r.Conn.Metrics.CountHandled(r.cfg.Work.consumer, d.outcome)
}

// report logs one line per delivery.
func (r *runner) report(d *Delivery, decision decision, took time.Duration, err error) {
	level := zapcore.InfoLevel
	switch {
	case decision.action == leave, decision.outcome == "poison":
		level = zapcore.ErrorLevel
	case decision.action == nak && !r.draining():
		level = zapcore.WarnLevel
	}
	line := r.Conn.Log.Check(level, "message handled")
	if line == nil {
		return
	}
	id := d.identity()
	fields := []zap.Field{
		zap.String("kind", r.cfg.Work.kind.String()),
		zap.String("request_id", id.GetRequestId()),
		zap.Uint32("attempt", id.GetAttempt()), zap.Int("delivery", d.Delivered),
		zap.String("subject", d.Subject), zap.String("outcome", decision.outcome), zap.Duration("took", took),
	}
	var handled *Handled
	switch {
	case !errors.As(err, &handled):
		fields = append(fields, zap.Error(err))
	case handled.Reason != "":
		fields = append(fields, zap.String("error", handled.Reason))
	}
	if d.Event != nil { // its subject does not name the step
		fields = append(fields, zap.String("step_id", subject.FormatIdentity(id)))
	}
	var crashed *crash
	if errors.As(err, &crashed) {
		fields = append(fields, zap.ByteString("stack", crashed.stack))
	}
	line.Write(fields...)
}
