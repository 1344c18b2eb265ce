package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses/fault"
)

// What a JSON body costs while it is decoded and stored, measured: 3 times its
// size for long strings, and at most 10 times for half a million small items.
// Each comma stands for a value that is decoded into a struct of its own.
const (
	costOfByte  = 3
	costOfComma = 128
	maxCost     = 10
)

const (
	// MemoryWait is how long an exchange waits for others to release memory
	// before it is refused. Meanwhile it reads nothing, so that its client
	// sends nothing.
	MemoryWait = 3 * time.Second
	// freeAnswer is the size up to which an answer is not charged: the buffers
	// of a connection hold it.
	freeAnswer = 64 << 10
	// firstChunk and lastChunk bound the steps in which a body is read. The
	// first one is as large as the client says, up to hintedChunk.
	firstChunk  = 4 << 10
	hintedChunk = 64 << 10
	lastChunk   = 1 << 20
)

// MaxCost returns the most that a body of n bytes costs.
func MaxCost(n int64) int64 { return n * maxCost }

// Cost returns what a JSON body costs while it is decoded and stored.
func Cost(body []byte) int64 { return cost(len(body), bytes.Count(body, comma)) }

var comma = []byte(",")

func cost(size, commas int) int64 {
	return min(int64(size)*costOfByte+int64(commas)*costOfComma, MaxCost(int64(size)))
}

// ReadCharged reads from, which has about hint bytes, to its end. It charges
// lease with each chunk before it is allocated, and at the end with the Cost of
// the whole. Each step waits up to MemoryWait.
func ReadCharged(ctx context.Context, lease *budget.Lease, from io.Reader, hint int64) ([]byte, error) {
	first := firstChunk
	if 0 < hint && hint < hintedChunk {
		first = int(hint) + 1 // so that one chunk sees the end
	}
	var chunks [][]byte
	var charged int64
	size, commas := 0, 0
	for step := first; ; step = min(2*step, lastChunk) {
		if err := lease.Await(ctx, int64(step), MemoryWait); err != nil {
			return nil, err
		}
		charged += int64(step)
		chunk := make([]byte, step)
		n, err := io.ReadFull(from, chunk)
		size, commas = size+n, commas+bytes.Count(chunk[:n], comma)
		chunks = append(chunks, chunk[:n])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		if err != nil {
			break
		}
	}
	// The chunks and the whole are there at the same time, and together below
	// the cost of the whole.
	if err := lease.Await(ctx, max(cost(size, commas)-charged, 0), MemoryWait); err != nil {
		return nil, err
	}
	if len(chunks) == 1 {
		return chunks[0], nil
	}
	return bytes.Join(chunks, nil), nil
}

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
	return x.lease().Await(ctx, Cost(body), MemoryWait)
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
	if len(body) <= freeAnswer || x.api == nil {
		return nil
	}
	n := int64(2 * len(body)) // as it was read, and as it is sent
	return x.lease().Await(context.Background(), n, MemoryWait)
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

// IsOutOfMemory reports whether an error is one of package budget.
func IsOutOfMemory(err error) bool {
	return errors.Is(err, budget.ErrShare) || errors.Is(err, budget.ErrFull)
}
