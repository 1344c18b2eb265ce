package load

import (
	"slices"
	"time"
)

// Latencies returns how long each run took.
func Latencies(runs []Run) []time.Duration {
	took := make([]time.Duration, len(runs))
	for i, r := range runs {
		took[i] = r.Took
	}
	return took
}

// AddedLatencies returns how much longer each run took than the plain loop's
// run of the same seed.
func AddedLatencies(runs, direct []Run) []time.Duration {
	bySeed := make(map[int64]time.Duration, len(direct))
	for _, d := range direct {
		bySeed[d.Seed] = d.Took
	}
	var added []time.Duration
	for _, r := range runs {
		if d, paired := bySeed[r.Seed]; paired {
			added = append(added, r.Took-d)
		}
	}
	return added
}

// Quantile returns the smallest value that is at least as large as the share q
// of the values; 0 without values.
func Quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(at-1, 0), len(sorted)-1)]
}
