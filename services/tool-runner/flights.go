package toolrunner

import (
	"context"
	"sync"
)

// flights lets one delivery of a command be served at a time. A server that was away redelivers what its runner is still
// holding a result for. Safe for concurrent use.
type flights struct {
	mu   sync.Mutex
	live map[string]chan struct{} // closed when the flight ends
}

func newFlights() *flights { return &flights{live: map[string]chan struct{}{}} }

// enter waits until no other flight has the subject. It reports whether there was one; the error is the cause of ctx's end.
func (f *flights) enter(ctx context.Context, subject string) (again bool, leave func(), err error) {
	for {
		f.mu.Lock()
		other, taken := f.live[subject]
		if !taken {
			mine := make(chan struct{})
			f.live[subject] = mine
			f.mu.Unlock()
			return again, func() { f.leave(subject, mine) }, nil
		}
		f.mu.Unlock()
		again = true
		select {
		case <-other:
		case <-ctx.Done():
			return true, nil, context.Cause(ctx)
		}
	}
}

func (f *flights) leave(subject string, mine chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.live, subject)
	close(mine)
}
