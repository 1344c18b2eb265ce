package bus

import (
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/live"
	"windlass.dev/windlass/pkg/bus/message"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Aliases of what moved, until every caller names the new packages.
type (
	Delivery   = consume.Delivery
	RunConfig  = consume.Config
	Handled    = consume.Handled
	Handler    = consume.Handler
	Work       = consume.Work
	Message    = message.Message
	LiveReader = live.Reader
	LiveWriter = live.Writer
)

var (
	ErrStale     = consume.ErrStale
	ErrPoison    = consume.ErrPoison
	ErrCancelled = consume.ErrCancelled
	ErrDraining  = consume.ErrDraining
	ErrLiveLost  = live.ErrLost
)

func TurnWork(lane string) Work                  { return consume.TurnWork(lane) }
func ToolWork(pool string) Work                  { return consume.ToolWork(pool) }
func FinalWork() Work                            { return consume.FinalWork() }
func ResultWork() Work                           { return consume.ResultWork() }
func Turn(c *stepv1.TurnCommand) Message         { return message.Turn(c) }
func Tool(c *stepv1.ToolCommand) Message         { return message.Tool(c) }
func Final(c *stepv1.FinalCommand) Message       { return message.Final(c) }
func Event(e *stepv1.StepEvent) Message          { return message.Event(e) }
func Dead(d *stepv1.DeadLetter) Message          { return message.Dead(d) }
func Live(f *stepv1.LiveFrames) Message          { return message.Live(f) }
func Mark(p string, e *stepv1.StepEvent) Message { return message.Mark(p, e) }
