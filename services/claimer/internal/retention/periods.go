package retention

import (
	"errors"
	"fmt"
	"time"
)

// Periods are how long ended requests are kept. Zero keeps them forever.
type Periods struct {
	// Stored is from a request's end until its rows are deleted: response,
	// steps, payloads, events.
	Stored time.Duration `env:"WINDLASS_RETENTION, default=720h"`
	// Unstored is from the end of a request that is not stored until its
	// payloads are deleted. Its client has to fetch the answer before.
	Unstored time.Duration `env:"WINDLASS_RETENTION_UNSTORED, default=10m"`
}

// minPeriod is long enough for a waiting client to receive its answer.
const minPeriod = 10 * time.Second

// Validate reports all faults.
func (p Periods) Validate() error {
	var errs []error
	periods := map[string]time.Duration{"WINDLASS_RETENTION": p.Stored, "WINDLASS_RETENTION_UNSTORED": p.Unstored}
	for name, d := range periods {
		if d != 0 && d < minPeriod {
			err := fmt.Errorf("%s is %s, want at least %s, or 0 to keep requests forever", name, d, minPeriod)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
