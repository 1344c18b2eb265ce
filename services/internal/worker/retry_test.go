package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/store"
)

func TestRetryOutage(t *testing.T) {
	t.Parallel()
	outage := fmt.Errorf("publish: %w", context.DeadlineExceeded)
	if !Unavailable(outage) {
		t.Fatalf("%v is not an outage", outage)
	}
	for name, tt := range map[string]struct {
		failures int
		last     error
	}{
		"an operation that succeeds": {0, nil},
		"an outage that ends":        {5, nil},
		"a verdict":                  {0, store.ErrStale},
		"a verdict after an outage":  {2, consume.ErrPoison},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &Worker{Log: zap.NewNop()}
				tries := 0
				got, err := Retry(t.Context(), w, func(context.Context) (int, error) {
					tries++
					if tries <= tt.failures {
						return 0, outage
					}
					return tries, tt.last
				})
				if got != tt.failures+1 || !errors.Is(err, tt.last) {
					t.Errorf("Retry = %d, %v; want %d, %v", got, err, tt.failures+1, tt.last)
				}
			})
		})
	}
}

func TestRetryOutageEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &Worker{Log: zap.NewNop()}
		ctx, cancel := context.WithCancelCause(t.Context())
		stop := time.AfterFunc(time.Minute, func() { cancel(consume.ErrDraining) })
		defer stop.Stop()
		err := w.RetryOutage(ctx, func(context.Context) error { return context.DeadlineExceeded })
		if !errors.Is(err, consume.ErrDraining) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("RetryOutage = %v, want the cause of the end and the last error", err)
		}
	})
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	drained, cancel := context.WithCancelCause(t.Context())
	cancel(consume.ErrDraining)
	bug := errors.New("a bug")
	for name, tt := range map[string]struct {
		ctx  context.Context //nolint:containedctx // of a case
		err  error
		want bool
	}{
		"no error":                         {t.Context(), nil, false},
		"a verdict":                        {t.Context(), fmt.Errorf("commit: %w", store.ErrStale), false},
		"an outage":                        {t.Context(), context.DeadlineExceeded, false},
		"a cancellation":                   {t.Context(), context.Canceled, false},
		"a bug":                            {t.Context(), bug, true},
		"a bug in a handler that is ended": {drained, bug, false},
	} {
		if got := Unknown(tt.ctx, tt.err); got != tt.want {
			t.Errorf("%s: Unknown = %t, want %t", name, got, tt.want)
		}
	}
}

func TestFailuresAreLoggedSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var limit throttle
		lines := 0
		for began := time.Now(); time.Since(began) < time.Minute; {
			if limit.allow("key") {
				lines++
			}
			<-time.After(time.Second)
		}
		if lines != 6 || !limit.allow("other") {
			t.Errorf("%d lines in a minute, want one every %v and for each key", lines, logPause)
		}
	})
}

func BenchmarkRetryOutageThatSucceeds(b *testing.B) {
	w := &Worker{Log: zap.NewNop()}
	op := func(context.Context) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		if err := w.RetryOutage(b.Context(), op); err != nil {
			b.Fatal(err)
		}
	}
}
