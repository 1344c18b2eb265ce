package looporchestrator

import (
	"errors"
	"fmt"

	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/isolate"
	"windlass.dev/windlass/services/internal/worker"
)

// Config is that of every worker, and how much work one orchestrator takes.
type Config struct {
	worker.Config
	// Slots bounds the turns of one lane that this process has in flight. The
	// lane's concurrency bounds them over all processes.
	Slots int `env:"WINDLASS_TURN_SLOTS, default=1024"`
	// ResultBatch bounds the tool results of one commit.
	ResultBatch int `env:"WINDLASS_RESULT_BATCH, default=256"`
	// SealKeys are the gateways': secrets of at least 16 bytes, separated by
	// commas. If empty, histories are not compacted.
	SealKeys string `env:"WINDLASS_SEAL_KEYS"`
	// IsolationSlots bounds the processes of suspects at the same time. The
	// program makes Isolate of it.
	IsolationSlots int `env:"WINDLASS_ISOLATION_SLOTS, default=8"`

	// Isolate runs suspects. nil: they run like all others, and the death of
	// this process counts against each of its turns.
	Isolate *isolate.Runner `env:"-"`
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	_, err := compaction.ReadKeys(c.SealKeys)
	if err != nil {
		err = fmt.Errorf("WINDLASS_SEAL_KEYS: %w", err)
	}
	if c.IsolationSlots < 0 {
		err = errors.Join(err, fmt.Errorf("WINDLASS_ISOLATION_SLOTS is %d, want at least 0", c.IsolationSlots))
	}
	return errors.Join(c.Config.Validate(), err)
}
