package dispatch

import (
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Identity returns the identity of a turn's model step, for messages.
func Identity(f run.Fence) *stepv1.StepIdentity {
	return &stepv1.StepIdentity{
		RequestId: run.Hex(f.ID), Epoch: uint32(f.Epoch), Turn: uint32(f.Turn), Attempt: uint32(f.Attempt),
	}
}

// Fence reads the fence of an identity, whatever its step.
func Fence(id *stepv1.StepIdentity) (run.Fence, error) {
	request, err := run.ParseHex(id.GetRequestId())
	return run.Fence{
		ID: request, Epoch: int(id.GetEpoch()), Turn: int(id.GetTurn()), Attempt: int(id.GetAttempt()),
	}, err
}
