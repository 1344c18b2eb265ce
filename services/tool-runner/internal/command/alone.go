package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/retry"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/isolate"
)

const (
	// suspectDeliveries is the number of deliveries after which a call is made
	// in a process of its own: the runners before died with it and with the
	// calls beside it, for any reason.
	suspectDeliveries = 2
	// maxCrashes is how many processes a call may end in which nothing else ran
	// before it is given up.
	maxCrashes = 5
)

// crashPolicy is the pause after a call that ended its process.
var crashPolicy = retry.Policy{First: 200 * time.Millisecond, Last: 2 * time.Second}

// isolatedCall is the task of an isolated process.
type isolatedCall struct {
	Command []byte        `json:"command"` // a ToolCommand
	Trace   string        `json:"trace"`
	Limit   time.Duration `json:"limit"`
}

// callAlone has a suspect's call made by a process of its own, and returns its
// result. The error is an *isolate.Crash if the call ended the process.
func (h *Handler) callAlone(ctx context.Context, d consume.Delivery, limit time.Duration) (*stepv1.StepEvent, error) {
	command, err := proto.Marshal(d.Tool)
	if err != nil {
		return nil, fmt.Errorf("encode an isolated call: %w", err)
	}
	task, err := json.Marshal(isolatedCall{command, d.Trace, limit})
	if err != nil {
		return nil, fmt.Errorf("encode an isolated call: %w", err)
	}
	answer, err := h.Isolate(ctx, task)
	if err != nil {
		return nil, err
	}
	var result stepv1.StepEvent
	if err := proto.Unmarshal(answer, &result); err != nil {
		return nil, fmt.Errorf("decode the result of an isolated call: %w", err)
	}
	return &result, nil
}

// CallIsolated makes the call of a task; its answer is the result. It uses
// neither the bus nor metrics.
func (h *Handler) CallIsolated(ctx context.Context, task []byte) ([]byte, error) {
	var call isolatedCall
	var c stepv1.ToolCommand
	if err := json.Unmarshal(task, &call); err != nil {
		return nil, fmt.Errorf("decode an isolated call: %w", err)
	}
	if err := proto.Unmarshal(call.Command, &c); err != nil {
		return nil, fmt.Errorf("decode the command of an isolated call: %w", err)
	}
	tool, ok := h.Tools.Tool(c.GetTool())
	if !ok {
		return proto.Marshal(failedEvent(&c, unknownTool, 0))
	}
	secret, err := h.resolve(ctx, tool)
	if err != nil {
		return nil, fmt.Errorf("resolve the credential: %w", err)
	}
	result, err := h.callTool(ctx, consume.Delivery{Tool: &c, Trace: call.Trace}, tool, secret, call.Limit)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(result)
}

// callInPlace is callTool. A panic is a crash of this call and of no other.
func (h *Handler) callInPlace(
	ctx context.Context, d consume.Delivery, tool registry.Tool, secret string, limit time.Duration,
) (result *stepv1.StepEvent, err error) {
	defer func() {
		if v := recover(); v != nil {
			h.Log.Error("tool call panicked", zap.String("subject", d.Subject), zap.Stack("stack"))
			err = &isolate.Crash{Status: fmt.Sprintf("panic: %v", v)}
		}
	}()
	return h.callTool(ctx, d, tool, secret, limit)
}

// isSuspect reports whether a command's call is made by a process of its own.
func (h *Handler) isSuspect(d consume.Delivery) bool {
	return h.Isolate != nil && d.Delivered > suspectDeliveries
}

// isPoison reports whether a call is given up. Without isolated processes the
// deaths of runners count against it.
func (h *Handler) isPoison(d consume.Delivery, crashes int) bool {
	return crashes >= maxCrashes || h.Isolate == nil && d.Delivered-crashes > maxDeliveries
}

// crashed reports whether err says that the call ended its process, and waits
// before the next try.
func (h *Handler) crashed(ctx context.Context, d consume.Delivery, pauses *retry.Pauses, err error) bool {
	var crash *isolate.Crash
	if !errors.As(err, &crash) {
		return false
	}
	h.Log.Error("tool call ended its process", zap.String("subject", d.Subject), zap.Int("delivery", d.Delivered),
		zap.Error(err))
	return pauses.Sleep(ctx)
}
