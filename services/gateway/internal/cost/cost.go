// Package cost knows what requests cost in memory, and reads bodies within
// the budget of their client.
//
// It promises that a body is charged before it is in memory, piece by piece as
// it arrives, and that decoding it takes no more than its cost
// (TestTheCostOfABody). Package budget says what is refused.
package cost

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"windlass.dev/windlass/pkg/budget"
)

// What a JSON body costs while it is decoded and stored, measured: 3 times its
// size for long strings, and more for small values. Each comma stands for a
// value that is decoded into a struct of its own. At most 10 times the size is
// charged; only a list of the smallest items there are, {"type":"x"}, takes 14
// times, and the memory beside the budget covers that.
const (
	costOfByte  = 3
	costOfComma = 128
	costAtMost  = 10
)

const (
	// Wait is how long a client waits for others to release memory before it is
	// refused. Meanwhile the gateway reads nothing, so that it sends nothing.
	Wait = 3 * time.Second
	// firstChunk and lastChunk bound the steps in which a body is read. The
	// first one is as large as the client says, up to hintedChunk.
	firstChunk  = 4 << 10
	hintedChunk = 64 << 10
	lastChunk   = 1 << 20
)

// Max returns the most that a body of n bytes costs.
func Max(n int64) int64 { return n * costAtMost }

// Of returns what a JSON body costs while it is decoded and stored.
func Of(body []byte) int64 { return estimate(len(body), bytes.Count(body, comma)) }

var comma = []byte(",")

func estimate(size, commas int) int64 {
	return min(int64(size)*costOfByte+int64(commas)*costOfComma, Max(int64(size)))
}

// Read reads from, which has about hint bytes, to its end. It charges
// lease with each chunk before it is allocated, and at the end with the cost of
// the whole. Each step waits up to Wait.
func Read(ctx context.Context, lease *budget.Lease, from io.Reader, hint int64) ([]byte, error) {
	first := firstChunk
	if 0 < hint && hint < hintedChunk {
		first = int(hint) + 1 // so that one chunk sees the end
	}
	var chunks [][]byte
	var charged int64
	size, commas := 0, 0
	for step := first; ; step = min(2*step, lastChunk) {
		if err := lease.Await(ctx, int64(step), Wait); err != nil {
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
	if err := lease.Await(ctx, max(estimate(size, commas)-charged, 0), Wait); err != nil {
		return nil, err
	}
	if len(chunks) == 1 {
		return chunks[0], nil
	}
	return bytes.Join(chunks, nil), nil
}

// IsRefusal reports whether an error is one of package budget.
func IsRefusal(err error) bool {
	return errors.Is(err, budget.ErrShare) || errors.Is(err, budget.ErrFull)
}
