package worker

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// logPause is the least time between two log lines of the same kind.
const logPause = 10 * time.Second

// LogFailure logs work that failed and is tried again on its own. The store and
// the bus log an outage once, so its consequences are logged at debug only.
// Every other error is a bug or a broken installation, and is logged as an
// error.
func (w *Worker) LogFailure(message string, err error, fields ...zap.Field) {
	fields = append(fields, zap.Error(err))
	switch {
	case Unavailable(err):
		w.Log.Debug(message, fields...)
	case w.throttle.allow(message):
		w.Log.Error(message, fields...)
	}
}

// throttle bounds log lines that could be written several times a second. Keys
// are constants. It is safe for concurrent use.
type throttle struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// allow reports whether the last line of a key is at least logPause ago, and if
// so counts this one.
func (t *throttle) allow(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.last[key]) < logPause {
		return false
	}
	if t.last == nil {
		t.last = map[string]time.Time{}
	}
	t.last[key] = time.Now()
	return true
}
