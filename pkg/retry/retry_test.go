package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"windlass.dev/windlass/pkg/retry"
)

var policy = retry.Policy{First: 20 * time.Millisecond, Last: time.Second}

func TestDo(t *testing.T) {
	t.Parallel()
	outage, final, ended := errors.New("outage"), errors.New("final"), errors.New("ended")
	for name, tt := range map[string]struct {
		results []error // of the tries; the last one repeats
		limit   time.Duration
		want    []error // all are in the error
		tries   int     // 0: any number
	}{
		"succeeds at once":            {results: []error{nil}, limit: time.Minute, tries: 1},
		"succeeds after an outage":    {results: []error{outage, outage, nil}, limit: time.Minute, tries: 3},
		"a final error ends it":       {results: []error{outage, final}, limit: time.Minute, tries: 2, want: []error{final}},
		"the context ends it":         {results: []error{outage}, limit: 10 * time.Second, want: []error{outage, ended}},
		"a dead context runs it once": {results: []error{outage}, tries: 1, want: []error{outage, ended}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.limit == 0 {
					cancel(ended)
				}
				stop := time.AfterFunc(tt.limit, func() { cancel(ended) })
				defer stop.Stop()
				tries := 0
				err := retry.Do(ctx, policy, func(err error) bool { return errors.Is(err, outage) },
					func(context.Context) error {
						tries++
						return tt.results[min(tries, len(tt.results))-1]
					})
				if (err == nil) != (tt.want == nil) {
					t.Errorf("Do = %v, want %v", err, tt.want)
				}
				for _, want := range tt.want {
					if !errors.Is(err, want) {
						t.Errorf("Do = %v, want %v in it", err, want)
					}
				}
				if tt.tries != 0 && tries != tt.tries {
					t.Errorf("%d tries, want %d", tries, tt.tries)
				}
			})
		})
	}
}

func TestPausesGrowToTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pauses := policy.Pauses()
		base := policy.First
		for n := range 12 {
			began := time.Now()
			if !pauses.Sleep(t.Context()) {
				t.Fatal("Sleep = false with a live context")
			}
			if took := time.Since(began); took < base/2 || took > base*3/2+1 {
				t.Errorf("pause %d took %v, want between %v and %v", n, took, base/2, base*3/2)
			}
			base = min(2*base, policy.Last)
		}
		pauses.Reset()
		began := time.Now()
		pauses.Sleep(t.Context())
		if took := time.Since(began); took > policy.First*3/2+1 {
			t.Errorf("pause after Reset took %v, want about %v", took, policy.First)
		}
	})
}

func TestValueIsThatOfTheLastTry(t *testing.T) {
	t.Parallel()
	tries := 0
	got, err := retry.Value(t.Context(), policy, nil, func(context.Context) (int, error) {
		tries++
		if tries < 2 {
			return tries, errors.New("again")
		}
		return tries, nil
	})
	if got != 2 || err != nil {
		t.Errorf("Value = %d, %v; want 2, nil", got, err)
	}
}
