package periodic

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		wake, start := NewSignal(), time.Now()
		var runs []time.Duration
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Run(ctx, wake, Every(time.Minute, func(context.Context) {
				if runs = append(runs, time.Since(start)); len(runs) == 2 {
					wake.Send()
					wake.Send() // counts as the same one
				}
			}))
		}()
		time.AfterFunc(121*time.Second, stop)
		<-ended
		want := []time.Duration{0, time.Minute, time.Minute, 2 * time.Minute}
		if diff := cmp.Diff(want, runs); diff != "" {
			t.Errorf("the job ran at (-want +got):\n%s", diff)
		}
	})
}
