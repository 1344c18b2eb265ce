package finalizer

import (
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
)

// additions are what a request adds to its conversation when it is settled: its input, and what was said. Whether they are added is
// the settlement's to decide.
func additions(c store.Chain) ([]store.NewItem, error) {
	request, fault := responses.Decode(c.Body)
	if fault != nil {
		return nil, fmt.Errorf("read the request's body: %w", fault)
	}
	turns, err := transcript.Turns(c)
	if err != nil {
		return nil, err
	}
	said := append(item.StoredInput(c.ID, request.Input), transcript.Output(turns)...)
	// What asks for a compaction has asked this request, not those that come.
	return transcript.Kept(slices.DeleteFunc(said, func(it item.Item) bool { return it.Type == compaction.Trigger })), nil
}
