package responseapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/audit"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
	"windlass.dev/windlass/services/internal/transcript"
)

// What the inputs of models may have in an audit trail, in bytes: each of them,
// all together, and the one of a turn that was asked for.
const (
	stepInput  = 256 << 10
	trailInput = 8 << 20
	turnInput  = 16 << 20
	// trailCost is charged per trail: the request, what the request continues
	// and the answer are each bounded.
	trailCost = 3 * turnInput
)

// readTurn is the turn that a client asks for; 0: all of them.
func readTurn(q url.Values) (int, error) {
	if !q.Has("turn") {
		return 0, nil
	}
	turn, err := strconv.Atoi(q.Get("turn"))
	if err != nil || turn < 1 {
		return 0, fault.Invalid("turn", "invalid_value",
			fmt.Sprintf("Invalid 'turn': '%s'. Expected an integer from 1 on.", httpapi.Excerpt(q.Get("turn"))))
	}
	return turn, nil
}

// showInputs writes what each model call was shown into the trail. It is made
// of what is stored: see package audit.
func (s *Server) showInputs(
	ctx context.Context, tenant string, id uuid.UUID, steps []run.Step, shown []render.Step, turn int,
) error {
	body, err := query.Retry(
		ctx, s.tasks, func(ctx context.Context) ([]byte, error) { return s.stored.Body(ctx, tenant, id) },
	)
	if errors.Is(err, store.ErrNotFound) { // deleted since
		return render.NotFound(run.ResponseID.Format(id))
	}
	if err != nil {
		return err
	}
	c, f := responses.Decode(body)
	if f != nil {
		return fmt.Errorf("show what request %s sent its model: its body is not what was accepted", id)
	}
	earlier, gap := s.readContinued(ctx, tenant, id, c)
	c.Input = item.StoredInput(id, c.Input) // as input_items shows them
	turns := audit.Run{Request: c, Earlier: earlier, Steps: steps, Whole: func(it item.Item) bool {
		content, err := s.seals.Open(tenant, it.Encrypted())
		return err == nil && content.Whole
	}}
	inputs, err := turns.Inputs(inputLimit(steps, turn))
	if err != nil { // the rest of the trail is still readable
		gap, inputs = "A turn of this response cannot be read.", nil
	}
	n := 0
	for i := range shown {
		if o := &shown[i]; o.Kind == run.StepModel {
			if n < len(inputs) {
				o.Input = inputs[n].Items
				o.InputNotice = notice(gap, inputs[n].Omitted, turn, o.Turn)
			} else if gap != "" {
				o.InputNotice = &gap
			}
			n++
		}
	}
	return nil
}

// inputLimit is what each model's input may have.
func inputLimit(steps []run.Step, turn int) int {
	if turn > 0 {
		return turnInput
	}
	calls := 0
	for _, step := range steps {
		if step.Kind == run.StepModel {
			calls++
		}
	}
	return min(stepInput, trailInput/max(1, calls))
}

func notice(gap string, omitted, asked, turn int) *string {
	text := gap
	if omitted > 0 {
		if text != "" {
			text += " "
		}
		text += fmt.Sprintf("%d items are left out for their size.", omitted)
		if asked == 0 {
			text += fmt.Sprintf(" GET this path with ?turn=%d shows more.", turn)
		}
	}
	if text == "" {
		return nil
	}
	return &text
}

// readContinued returns what a response continues, or a notice of why it cannot
// be shown: the rest of the trail is readable without a history that the
// database does not deliver in time.
func (s *Server) readContinued(
	ctx context.Context, tenant string, id uuid.UUID, c *responses.Create,
) (earlier []transcript.Ancestor, gap string) {
	var err, unreadable error
	switch {
	case c.PreviousResponseID != "":
		parent, _ := run.ResponseID.Parse(c.PreviousResponseID)
		var line []run.Chain
		line, err = query.Retry(ctx, s.tasks, func(ctx context.Context) ([]run.Chain, error) {
			return s.store.Ancestors(ctx, tenant, parent)
		})
		earlier, unreadable = transcript.Ancestors(line)
		for i := range earlier {
			earlier[i].Input = item.StoredInput(line[i].ID, earlier[i].Input)
		}
	case c.Conversation != "":
		conversation, _ := run.ConversationID.Parse(c.Conversation)
		var items [][]byte
		items, err = query.Retry(ctx, s.tasks, func(ctx context.Context) ([][]byte, error) {
			return s.conversations.History(ctx, tenant, conversation)
		})
		earlier, unreadable = transcript.Conversation(itemsBefore(id, c.Input, items))
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, "What this response continues has been deleted."
	case err != nil:
		return nil, "What this response continues was not read in time; try again."
	case unreadable != nil:
		return nil, "What this response continues cannot be read."
	}
	return earlier, ""
}

// itemsBefore returns the items that a conversation had when a response was
// made on it. It was locked until the response's own items were added, so that
// all items from the first of those on are younger.
func itemsBefore(id uuid.UUID, input []item.Item, items [][]byte) [][]byte {
	own := map[string]bool{}
	for _, it := range input {
		own[it.ID] = it.ID != ""
	}
	for i, b := range items {
		it, f := item.Parse(b)
		if f != nil {
			continue
		}
		by, _, ok := itemid.Request(it.ID)
		if own[it.ID] || ok && bytes.Compare(by[:], id[:]) >= 0 { // ids of requests grow with time
			return items[:i]
		}
	}
	return items
}
