package backend

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// seldomPause is the time between two log lines of the same kind.
const seldomPause = 10 * time.Second

// LogFailure logs work that failed and will be tried again by itself. The store
// and the bus log an outage once, so what follows from it is only logged at
// debug. Every other error is a bug or a broken installation, and is an error.
func (be *Backend) LogFailure(message string, err error, fields ...zap.Field) {
	fields = append(fields, zap.Error(err))
	switch {
	case Unavailable(err):
		be.Log.Debug(message, fields...)
	case be.seldom.due(message):
		be.Log.Error(message, fields...)
	}
}

// seldom bounds log lines that would come several times a second. Safe for
// concurrent use; keys are constants.
type seldom struct {
	mu sync.Mutex
	at map[string]time.Time
}

// due reports whether the last line of a key is old enough for another.
func (s *seldom) due(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at[key]) < seldomPause {
		return false
	}
	if s.at == nil {
		s.at = map[string]time.Time{}
	}
	s.at[key] = time.Now()
	return true
}
