package conn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"windlass.dev/windlass/pkg/bus/internal/topology"
)

var errNoServerTime = errors.New("the server does not tell its time")

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

// PauseLane is bus.Bus.PauseLane. The API takes the end of the pause as a time
// of the server's clock, which is read first.
func (c *Conn) PauseLane(ctx context.Context, lane string, pause time.Duration) error {
	err := c.Mend(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, APITimeout)
		defer cancel()
		stream, name := c.Stream(topology.StreamTurn), topology.LaneConsumer(lane)
		consumer, err := c.JS.Consumer(ctx, stream, name)
		if err != nil {
			return err
		}
		now := consumer.CachedInfo().TimeStamp
		if now.IsZero() {
			return errNoServerTime
		}
		_, err = c.JS.PauseConsumer(ctx, stream, name, now.Add(pause))
		return err
	})
	if err != nil {
		return fmt.Errorf("pause lane %q: %w", lane, err)
	}
	return nil
}
