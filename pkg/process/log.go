package process

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// NewLogger returns a logger that writes one line an entry to w; a Runtime adds
// the field service. Level is a zap level's name, format is json (durations in
// seconds) or console. Times are UTC. Lines are never sampled away: there is
// one per delivery and one per HTTP request, and each is somebody's evidence.
// One that is longer than 4 kB is cut, with a mark (TestLogLinesAreBounded).
// Safe for concurrent use.
func NewLogger(w io.Writer, level, format string) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("make logger: %w", err)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey = "time"
	enc.EncodeTime = func(t time.Time, out zapcore.PrimitiveArrayEncoder) {
		out.AppendString(t.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	enc.EncodeDuration = zapcore.SecondsDurationEncoder

	var encoder zapcore.Encoder
	switch format {
	case "json":
		encoder = zapcore.NewJSONEncoder(enc)
	case "console":
		enc.EncodeDuration = zapcore.StringDurationEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	default:
		return nil, fmt.Errorf("make logger: format %q is neither json nor console", format)
	}
	core := zapcore.NewCore(boundLines(encoder), zapcore.Lock(zapcore.AddSync(w)), at)
	return zap.New(core), nil
}
