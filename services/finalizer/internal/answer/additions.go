package answer

import (
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
)

// Additions returns what a request adds to its conversation: its input and its
// output. The settlement decides whether they are added.
func Additions(c run.Chain) ([]run.NewItem, error) {
	request, fault := responses.Decode(c.Body)
	if fault != nil {
		return nil, fmt.Errorf("read the request's body: %w", fault)
	}
	turns, err := transcript.Turns(c)
	if err != nil {
		return nil, err
	}
	items := append(item.StoredInput(c.ID, request.Input), transcript.Output(turns)...)
	// A compaction trigger is for this request, not for later ones.
	items = slices.DeleteFunc(items, func(it item.Item) bool { return it.Type == compaction.Trigger })
	return transcript.ConversationItems(items), nil
}
