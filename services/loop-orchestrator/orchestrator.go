package looporchestrator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process/shortage"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
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
	// isolatedConns are the database connections of an isolated process.
	isolatedConns = 2
)

// Run takes turns and results until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	o, closeAll, err := open(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil // drained before the infrastructure was available
		}
		return err
	}
	defer closeAll()
	if cfg.Isolate != nil {
		o.turns.Isolate = func(ctx context.Context, c *stepv1.TurnCommand) error {
			task, err := proto.Marshal(c)
			if err == nil {
				_, err = cfg.Isolate.Run(ctx, task)
			}
			return err
		}
	}
	return o.run(ctx, cfg)
}

// RunIsolated handles one turn command, the task of an isolated process, and
// serves nothing else. Its answer is empty.
func RunIsolated(ctx context.Context, cfg Config, task []byte) ([]byte, error) {
	var c stepv1.TurnCommand
	if err := proto.Unmarshal(task, &c); err != nil {
		return nil, fmt.Errorf("decode the turn: %w", err)
	}
	cfg.Isolate, cfg.Slots, cfg.Store.MaxConns = nil, 1, isolatedConns
	o, closeAll, err := open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	err = o.turns.Handle(ctx, consume.Delivery{Turn: &c, Delivered: 1})
	if errors.Is(err, consume.ErrStale) { // what the row needs is published
		err = nil
	}
	return nil, err
}

// open connects an orchestrator.
func open(ctx context.Context, cfg Config) (o *orchestrator, closeAll func(), err error) {
	keys, err := compaction.ReadKeys(cfg.SealKeys)
	if err != nil {
		return nil, nil, fmt.Errorf("read WINDLASS_SEAL_KEYS: %w", err)
	}
	w, err := worker.Open(ctx, "loop-orchestrator", cfg.Config)
	if err != nil {
		return nil, nil, err
	}
	if err := w.Registry.CheckModelCredentials(); err != nil {
		w.Close(ctx)
		return nil, nil, fmt.Errorf("check the models' credentials: %w", err)
	}
	client := newModelClient(cfg.Slots)
	lacks := shortage.NewWatch(w.Log, cfg.Runtime.Metrics)
	cfg.Runtime.Health.Check("loop-orchestrator.resources", lacks.Ready)
	o = newOrchestrator(w, keys, upstream.Client{
		HTTP: client, Memory: &compat.Memory{}, OnLearn: newAdjustments(cfg.Runtime.Metrics, w.Log).report,
		Shortage: lacks,
	})
	return o, func() { client.CloseIdleConnections(); w.Close(ctx) }, nil
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
				Handle: o.turns.Handle, Confirm: o.turns.ConfirmCancel, Away: o.Away,
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
