package store

import (
	"context"
	"sync/atomic"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/batch"
	"windlass.dev/windlass/pkg/store/limits"
)

// Turns returns the queue of CommitTurn.
func (s *Store) Turns() *batch.Queue[run.TurnCommit, bool] { return s.turns }

// Accepts returns the queue of Accept, whose statements n counts from now on.
func (s *Store) Accepts(n *atomic.Int32) *batch.Queue[NewRequest, outcome] {
	s.accepts = batch.New(2, 256, func(ctx context.Context, all []NewRequest) ([]outcome, error) {
		n.Add(1)
		return s.acceptAll(ctx, all)
	})
	return s.accepts
}

// AcceptAll is one statement of Accept.
func (s *Store) AcceptAll(ctx context.Context, all []NewRequest) ([]outcome, error) {
	return s.acceptAll(ctx, all)
}

func (o outcome) Started() bool       { return o.started }
func (o outcome) Refusal() error      { return o.refusal }
func (o outcome) Quota() limits.Quota { return o.quota }

// CommitTurns is one statement of CommitTurn.
func (s *Store) CommitTurns(ctx context.Context, all []run.TurnCommit) ([]bool, error) {
	return s.commitTurns(ctx, all)
}

// SettleAll is one statement of Settle.
func (s *Store) SettleAll(ctx context.Context, all []Settlement) ([]bool, error) {
	return s.settleAll(ctx, all)
}
