package dispatch

import (
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Identity is a fence in messages: the identity of a turn's model step.
func Identity(f store.Fence) *stepv1.StepIdentity {
	return &stepv1.StepIdentity{
		RequestId: BusID(f.ID), Epoch: uint32(f.Epoch), Turn: uint32(f.Turn), Attempt: uint32(f.Attempt),
	}
}

// Fence reads the fence of an identity: that of its turn and attempt, whatever
// its step.
func Fence(id *stepv1.StepIdentity) (store.Fence, error) {
	request, err := RequestID(id.GetRequestId())
	return store.Fence{
		ID: request, Epoch: int(id.GetEpoch()), Turn: int(id.GetTurn()), Attempt: int(id.GetAttempt()),
	}, err
}
