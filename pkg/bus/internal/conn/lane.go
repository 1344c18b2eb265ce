package conn

import (
	"context"
	"fmt"
	"time"

	"windlass.dev/windlass/pkg/bus/internal/topology"
)

// LaneLoad is bus.Bus.LaneLoad.
func (c *Conn) LaneLoad(ctx context.Context, lane string) (waiting, inFlight int, err error) {
	err = c.Mend(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, APITimeout)
		defer cancel()
		consumer, err := c.JS.Consumer(ctx, c.Stream(topology.StreamTurn), topology.LaneConsumer(lane))
		if err != nil {
			return err
		}
		info := consumer.CachedInfo()
		waiting, inFlight = int(info.NumPending), info.NumAckPending
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("look at lane %q: %w", lane, err)
	}
	return waiting, inFlight, nil
}

// PauseLane is bus.Bus.PauseLane.
func (c *Conn) PauseLane(ctx context.Context, lane string, until time.Time) error {
	err := c.Mend(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, APITimeout)
		defer cancel()
		_, err := c.JS.PauseConsumer(ctx, c.Stream(topology.StreamTurn), topology.LaneConsumer(lane), until)
		return err
	})
	if err != nil {
		return fmt.Errorf("pause lane %q: %w", lane, err)
	}
	return nil
}
