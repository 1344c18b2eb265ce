//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample has the values of one moment by the names of their curves.
type sample map[string]float64

// curves are the samples of a soak.
type curves struct {
	began   time.Time
	at      []time.Duration
	samples []sample
}

func (c *curves) add(s sample) {
	c.at = append(c.at, time.Since(c.began))
	c.samples = append(c.samples, s)
}

// allowance is how much more the median of the last quarter may be than that of
// the second: a share, and an absolute value for what is small.
type allowance struct{ share, plus float64 }

// allowances are by the first word of a curve's name. A curve that is not in it
// is shown only.
var allowances = map[string]allowance{
	"rss":         {0.15, 12}, // in MiB. The garbage collector's heap breathes
	"goroutines":  {0.15, 30},
	"descriptors": {0.15, 16},
	"connections": {0.10, 6},
	"tables":      {0.30, 4}, // in MiB. Vacuum frees pages late, for reuse
	"indexes":     {0.30, 4},
	"rows":        {0.30, 200},
	"bytes":       {0.30, 4}, // in MiB, of streams
	"messages":    {0.30, 500},
	"subjects":    {0.30, 300},
}

func (c *curves) names() []string {
	all := map[string]bool{}
	for _, s := range c.samples {
		for name := range s {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// median returns the median of a curve between two quarters of the soak.
func (c *curves) median(name string, from, to int) float64 {
	n := len(c.samples)
	var values []float64
	for _, s := range c.samples[n*from/4 : n*to/4] {
		if v, ok := s[name]; ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func (c *curves) checkFlat(t *testing.T) {
	t.Helper()
	if len(c.samples) < 8 {
		t.Fatalf("%d samples are too few to compare quarters", len(c.samples))
	}
	for _, name := range c.names() {
		if ok, why := c.isFlat(name); !ok {
			t.Errorf("the curve %q is not flat: %s", name, why)
		}
	}
}

func (c *curves) isFlat(name string) (ok bool, why string) {
	kind, _, _ := strings.Cut(name, " ")
	may, known := allowances[kind]
	before, after := c.median(name, 1, 2), c.median(name, 3, 4)
	limit := before*(1+may.share) + may.plus
	return !known || after <= limit, fmt.Sprintf("%.1f in the second quarter, %.1f in the last, want at most %.1f",
		before, after, limit)
}

// String is a table with a line for each curve.
func (c *curves) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-34s %10s %10s %10s  %s\n", "curve", "quarter 2", "quarter 4", "highest", "course, from 0 to the highest")
	for _, name := range c.names() {
		high := 0.0
		for _, s := range c.samples {
			high = max(high, s[name])
		}
		fmt.Fprintf(&out, "%-34s %10.1f %10.1f %10.1f  %s\n", name, c.median(name, 1, 2), c.median(name, 3, 4), high, c.plot(name, high))
	}
	return out.String()
}

// plot draws a curve in 60 characters at most.
func (c *curves) plot(name string, high float64) string {
	const width = 60
	marks := []rune("▁▂▃▄▅▆▇█")
	n := min(width, len(c.samples))
	line := make([]rune, n)
	for i := range n {
		part := c.samples[len(c.samples)*i/n : len(c.samples)*(i+1)/n]
		sum := 0.0
		for _, s := range part {
			sum += s[name]
		}
		level := 0
		if high > 0 {
			level = int(sum / float64(len(part)) / high * float64(len(marks)-1))
		}
		line[i] = marks[min(max(level, 0), len(marks)-1)]
	}
	return string(line)
}

func (c *curves) csv() string {
	var out strings.Builder
	names := c.names()
	out.WriteString("seconds," + strings.Join(names, ",") + "\n")
	for i, s := range c.samples {
		fmt.Fprintf(&out, "%.1f", c.at[i].Seconds())
		for _, name := range names {
			fmt.Fprintf(&out, ",%.2f", s[name])
		}
		out.WriteString("\n")
	}
	return out.String()
}

// TestCurvesThatGrowAreNotFlat holds that a slow leak fails a soak.
func TestCurvesThatGrowAreNotFlat(t *testing.T) {
	t.Parallel()
	c := &curves{}
	for i := range 40 {
		c.add(sample{"rss a": 100 + float64(i%3), "rss b": 100 + 2*float64(i), "goroutines a": 50 + 3*float64(i)})
	}
	for name, want := range map[string]bool{"rss a": true, "rss b": false, "goroutines a": false} {
		if got, why := c.isFlat(name); got != want {
			t.Errorf("%s is flat: %v, want %v (%s)", name, got, want, why)
		}
	}
}
