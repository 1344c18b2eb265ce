// Package metric registers metrics that several services of one process share.
//
// It promises that the second registration of a name returns the first one's
// collector (TestTwoBusesShareARegistry in package bus,
// TestServeAnswersThroughADrain in package process).
package metric

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Register registers a collector, or returns the one of the same name that
// another service of this process has registered. It panics if r holds another
// kind of collector under the name: that is a bug found at start-up.
func Register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	err := reg.Register(c)
	var taken prometheus.AlreadyRegisteredError
	if errors.As(err, &taken) {
		if same, ok := taken.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic("register metrics: " + err.Error())
	}
	return c
}
