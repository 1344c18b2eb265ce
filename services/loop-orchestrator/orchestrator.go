// Package looporchestrator runs the model loop, one turn at a time: it calls the model, commits what it said, dispatches what it
// asked for, and commits what the tools answered.
//
// It promises that a turn is committed once, whatever is killed: the row's attempt is the fence. It does not promise that a
// model is called once: a crash between the answer and its commit calls again.
package looporchestrator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/worker"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/compat"
)

// Config is that of every worker, and how much one orchestrator takes on.
type Config struct {
	worker.Config
	// Slots bounds the turns of one lane that this process has in flight; the lane's concurrency bounds them over all.
	Slots int `env:"WINDLASS_TURN_SLOTS, default=1024"`
	// ResultBatch bounds the tool results of one commit.
	ResultBatch int `env:"WINDLASS_RESULT_BATCH, default=256"`
	// SealKeys are the gateways': secrets of at least 16 bytes, separated by commas. Empty: no history is compacted.
	SealKeys string `env:"WINDLASS_SEAL_KEYS"`
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	_, err := compaction.ReadKeys(c.SealKeys)
	if err != nil {
		err = fmt.Errorf("WINDLASS_SEAL_KEYS: %w", err)
	}
	return errors.Join(c.Config.Validate(), err)
}

// Run takes turns and results until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	keys, err := compaction.ReadKeys(cfg.SealKeys)
	if err != nil {
		return fmt.Errorf("read WINDLASS_SEAL_KEYS: %w", err)
	}
	w, err := worker.Open(ctx, "loop-orchestrator", cfg.Config)
	if err != nil {
		if ctx.Err() != nil {
			return nil // drained before the infrastructure was there
		}
		return err
	}
	defer w.Close(ctx)
	if err := w.Registry.CheckModelCredentials(); err != nil {
		return fmt.Errorf("check the models' credentials: %w", err)
	}
	o := &orchestrator{Worker: w, keys: keys, now: time.Now, upstream: upstream.Client{
		HTTP: modelClient(cfg.Slots), Memory: &compat.Memory{}, Learnt: newLessons(cfg.Runtime.Metrics, w.Log).note,
	}}
	defer o.upstream.HTTP.CloseIdleConnections()
	all, ctx := errgroup.WithContext(ctx)
	for _, lane := range w.Registry.Lanes() {
		all.Go(func() error {
			return w.Bus.Run(ctx, bus.RunConfig{
				Work: bus.TurnWork(lane.Name), Slots: min(cfg.Slots, lane.Concurrency), Grace: cfg.Grace,
				Handle: o.turn, Confirm: o.cancelled,
			})
		})
	}
	all.Go(func() error {
		return w.Bus.RunBatches(ctx, bus.RunConfig{
			Work: bus.ResultWork(), Max: cfg.ResultBatch, Slots: resultBatches, Grace: cfg.Grace, HandleBatch: o.results,
		})
	})
	all.Go(func() error { return w.Bus.Answer(ctx, answerSlots, o.answer) })
	return all.Wait()
}

// resultBatches are on their way to the database at once: while one commits, the next fills.
const resultBatches = 2

type orchestrator struct {
	*worker.Worker
	upstream upstream.Client
	keys     compaction.Keys
	now      func() time.Time
}

// modelClient keeps a connection per slot alive. It has no timeout: every call's context has one.
func modelClient(slots int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          2 * slots,
		MaxIdleConnsPerHost:   slots,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
	}}
}
