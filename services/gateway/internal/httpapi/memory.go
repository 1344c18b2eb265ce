package httpapi

import (
	"context"
	"errors"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/cost"
)

// freeAnswer is the size up to which an answer is not charged: the buffers of a
// connection hold it.
const freeAnswer = 64 << 10

// lease returns what the exchange holds, to be charged before more is
// allocated. It is released when the exchange ends.
func (x *Exchange) lease() *budget.Lease {
	if x.Memory == nil && x.api != nil { // a message has its own, or none
		x.Memory = x.api.memory.Open(budget.Body, x.Who.Tenant, x.Who.KeyID)
	}
	return x.Memory
}

// ChargeBody charges the exchange for a body that takes the place of the one
// that was read.
func (x *Exchange) ChargeBody(ctx context.Context, body []byte) error {
	return x.lease().Await(ctx, cost.Of(body), cost.Wait)
}

// ChargeRead charges the exchange for n bytes that were just read from the
// database, and ends its turn. It does not wait, because they are in memory.
func (x *Exchange) ChargeRead(n int64) error {
	x.charged = true
	defer x.EndRead()
	return x.lease().Grow(n)
}

// Release drops the body. What was read and decoded for it is not needed any
// more, except for keep bytes.
func (x *Exchange) Release(keep int64) {
	x.Body = nil
	x.Memory.Shrink(max(x.Memory.Size()-keep, 0))
}

// chargeAnswer charges the exchange for an answer, which its client may read
// slowly.
func (x *Exchange) chargeAnswer(body []byte) error {
	if len(body) <= freeAnswer || x.api == nil || x.charged {
		return nil
	}
	n := int64(2 * len(body)) // as it was read, and as it is sent
	return x.lease().Await(context.Background(), n, cost.Wait)
}

// memoryFault refuses what there is no memory for.
func memoryFault(err error) *fault.Error {
	if !errors.Is(err, budget.ErrShare) {
		return fault.Unavailable(RetryAfter)
	}
	f := fault.RateLimited("Your requests in flight hold as much memory of this server as they may. "+
		"Send this one again when others have ended, or send smaller ones.", RetryAfter)
	f.Code = "memory_share_exceeded"
	return f
}
