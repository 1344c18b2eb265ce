// Package report holds the figures of a measurement, prints them, and compares
// what a step costs with limits.
package report

import (
	"time"

	"windlass.dev/windlass/pkg/store/pgstat"
	"windlass.dev/windlass/services/bench/internal/audit"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/stack"
)

// Report is everything that one call of Run measured. Times are in milliseconds
// unless their name has another unit.
type Report struct {
	Started   time.Time        `json:"started"`
	CPUs      int              `json:"cpus"`
	Go        string           `json:"go"`
	Postgres  []pgstat.Setting `json:"postgres"`
	FlushP50  float64          `json:"f_ms"`
	FlushP99  float64          `json:"f99_ms"`
	Flushes   int              `json:"f_samples"`
	StartUp   float64          `json:"services_start_ms"`
	Idle      Idle             `json:"idle"`
	Cells     []Cell           `json:"cells"`
	ThinkTime float64          `json:"think_ms"`
	// Statements are those of the whole measurement, warm-up included.
	Statements []pgstat.Statement `json:"statements"`
}

// Idle is what the idle stack uses.
type Idle struct {
	MemoryBytes map[string]int64   `json:"memory_bytes"`
	CPU         map[string]float64 `json:"cpu_ms_per_second"`
	Statements  float64            `json:"statements_per_second"`
	Writes      float64            `json:"write_transactions_per_second"`
	Messages    float64            `json:"nats_messages_per_second"`
}

// Cell is one scenario with one number of requests in flight.
type Cell struct {
	Scenario    string           `json:"scenario"`
	Concurrency int              `json:"concurrency"`
	Windlass    Speed            `json:"windlass"`
	Direct      Speed            `json:"direct"`
	AddedP50    float64          `json:"added_p50_ms"`
	AddedP99    float64          `json:"added_p99_ms"`
	AddedP50F   float64          `json:"added_p50_f"`
	AddedP99F   float64          `json:"added_p99_f99"`
	PerStep     PerStep          `json:"per_step"`
	MemoryPeak  map[string]int64 `json:"memory_peak_bytes"`
	Sessions    int64            `json:"postgres_sessions"`
	// Others is the share of the machine that other programs took meanwhile. If
	// it is not near 0, the speed means little.
	Others float64     `json:"others_cpu_share"`
	Audit  audit.Audit `json:"audit"`
}

// Valid reports whether the cell has a score: every run has the right answer,
// and every step was called once.
func (c *Cell) Valid() bool { return c.Audit.Failed == 0 && c.Windlass.Runs > 0 }

// Speed is what a closed loop of workers reached.
type Speed struct {
	Runs       int     `json:"runs"`
	Seconds    float64 `json:"seconds"`
	RunsPerS   float64 `json:"runs_per_second"`
	StepsPerS  float64 `json:"steps_per_second"`
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
	CPUPerStep float64 `json:"cpu_us_per_step"` // of all processes
}

// PerStep is what one step, a model or tool call, costs.
type PerStep struct {
	Commits         float64            `json:"commits"`
	Writes          float64            `json:"write_transactions"`
	Statements      float64            `json:"statements"`
	StatementsKnown bool               `json:"statements_known"`
	WALBytes        float64            `json:"wal_bytes"`
	PageImages      float64            `json:"wal_page_images"`
	WALSyncs        float64            `json:"wal_syncs"`
	Messages        float64            `json:"nats_messages"`
	MessageBytes    float64            `json:"nats_bytes"`
	CPU             map[string]float64 `json:"cpu_us"`
}

// NewSpeed returns the speed of a loop whose runs have this number of steps and
// whose processes used cpu.
func NewSpeed(runs []load.Run, took time.Duration, steps int, cpu map[string]time.Duration) Speed {
	latencies := load.Latencies(runs)
	s := Speed{
		Runs: len(runs), Seconds: took.Seconds(),
		P50: Milliseconds(load.Quantile(latencies, 0.5)), P99: Milliseconds(load.Quantile(latencies, 0.99)),
	}
	if took > 0 {
		s.RunsPerS = float64(len(runs)) / took.Seconds()
		s.StepsPerS = s.RunsPerS * float64(steps)
	}
	for _, used := range cpu {
		s.CPUPerStep += Ratio(float64(used.Microseconds()), len(runs)*steps)
	}
	return s
}

// NewPerStep divides what a loop added to the counters by its steps.
func NewPerStep(r stack.Reading, steps int) PerStep {
	p := PerStep{
		Commits:         Ratio(float64(r.PG.Commits), steps),
		Writes:          Ratio(float64(r.PG.WriteTransactions), steps),
		Statements:      Ratio(float64(r.PG.Statements), steps),
		StatementsKnown: r.PG.StatementsKnown,
		WALBytes:        Ratio(float64(r.PG.WALBytes), steps),
		PageImages:      Ratio(float64(r.PG.PageImages), steps),
		WALSyncs:        Ratio(float64(r.PG.WALSyncs), steps),
		Messages:        Ratio(float64(r.NATS.Messages), steps),
		MessageBytes:    Ratio(float64(r.NATS.Bytes), steps),
		CPU:             map[string]float64{},
	}
	for group, used := range r.CPU {
		p.CPU[group] = Ratio(float64(used.Microseconds()), steps)
	}
	return p
}

// Ratio returns 0 instead of a division by 0: such a cell has no score.
func Ratio(total float64, by int) float64 {
	if by == 0 {
		return 0
	}
	return total / float64(by)
}

// Milliseconds converts to the unit of a report.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
