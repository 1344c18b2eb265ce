package looporchestrator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
	"windlass.dev/windlass/services/loop-orchestrator/internal/ask"
	"windlass.dev/windlass/services/loop-orchestrator/internal/lineage"
	"windlass.dev/windlass/services/loop-orchestrator/internal/live"
	"windlass.dev/windlass/services/loop-orchestrator/internal/modelcall"
	"windlass.dev/windlass/services/loop-orchestrator/internal/results"
	"windlass.dev/windlass/services/loop-orchestrator/internal/turn"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/compat"
)

const (
	// resultBatches bounds the commits of results in flight: while one commits,
	// the next fills.
	resultBatches = 2
	// answerSlots bounds the questions of tool-runners that are answered at
	// once.
	answerSlots = 8
	// memoBytes bounds the stored JSON whose decoded form is kept for later
	// turns.
	memoBytes = 32 << 20
)

// Run takes turns and results until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	keys, err := compaction.ReadKeys(cfg.SealKeys)
	if err != nil {
		return fmt.Errorf("read WINDLASS_SEAL_KEYS: %w", err)
	}
	w, err := worker.Open(ctx, "loop-orchestrator", cfg.Config)
	if err != nil {
		if ctx.Err() != nil {
			return nil // drained before the infrastructure was available
		}
		return err
	}
	defer w.Close(ctx)
	if err := w.Registry.CheckModelCredentials(); err != nil {
		return fmt.Errorf("check the models' credentials: %w", err)
	}
	client := newModelClient(cfg.Slots)
	defer client.CloseIdleConnections()
	o := newOrchestrator(w, keys, upstream.Client{
		HTTP: client, Memory: &compat.Memory{}, OnLearn: newAdjustments(cfg.Runtime.Metrics, w.Log).report,
	})
	return o.run(ctx, cfg)
}

// orchestrator is the assembled rooms.
type orchestrator struct {
	*worker.Worker

	caller  *modelcall.Caller
	turns   *turn.Handler
	results *results.Committer
	asks    *ask.Answerer
}

func newOrchestrator(w *worker.Worker, keys compaction.Keys, client upstream.Client) *orchestrator {
	streams := live.Streams{Worker: w}
	o := &orchestrator{
		Worker: w,
		caller: &modelcall.Caller{
			Registry: w.Registry, Upstream: client, Keys: keys, Live: streams,
			Lineage: lineage.Reader{Worker: w, Memo: transcript.NewMemo(memoBytes)},
		},
		results: &results.Committer{Worker: w, Live: streams},
	}
	o.turns = &turn.Handler{Worker: w, Call: o.caller.Call}
	o.asks = &ask.Answerer{Worker: w, Commit: o.results.Commit}
	return o
}

func (o *orchestrator) run(ctx context.Context, cfg Config) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, lane := range o.Registry.Lanes() {
		all.Go(func() error {
			return o.Bus.Run(ctx, consume.Config{
				Work: consume.TurnWork(lane.Name), Slots: min(cfg.Slots, lane.Concurrency), Grace: cfg.Grace,
				Handle: o.turns.Handle, Confirm: o.turns.ConfirmCancel,
			})
		})
	}
	all.Go(func() error {
		return o.Bus.RunBatches(ctx, consume.Config{
			Work: consume.ResultWork(), Max: cfg.ResultBatch, Slots: resultBatches, Grace: cfg.Grace,
			HandleBatch: o.results.Handle,
		})
	})
	all.Go(func() error { return o.Bus.Answer(ctx, answerSlots, o.asks.Answer) })
	return all.Wait()
}

// newModelClient keeps a connection per slot alive. It has no timeout, because
// every call's context has one.
func newModelClient(slots int) *http.Client {
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
