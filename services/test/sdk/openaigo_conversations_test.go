package sdk

import (
	"errors"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/conversations"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"windlass.dev/windlass/services/mock"
)

func (g *goClient) conversations(t *testing.T) {
	ctx := t.Context()
	c, err := g.Conversations.New(ctx, conversations.ConversationNewParams{Metadata: shared.Metadata{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, say := range []string{"One.", "Two."} {
		params := g.params(mock.Plan{Text: say})
		params.Conversation.OfString = param.NewOpt(c.ID)
		if r := g.ask(t, params); r.OutputText() != say || r.Conversation.ID != c.ID {
			t.Errorf("the response is %s", r.RawJSON())
		}
	}
	added, err := g.Conversations.Items.New(ctx, c.ID, conversations.ItemNewParams{
		Items: []responses.ResponseInputItemUnionParam{responses.ResponseInputItemParamOfMessage("three", "user")},
	})
	if err != nil || len(added.Data) != 1 {
		t.Fatalf("items added: %+v, %v", added, err)
	}
	pager := g.Conversations.Items.ListAutoPaging(ctx, c.ID, conversations.ItemListParams{Limit: param.NewOpt(int64(2)), Order: "asc"})
	var roles []string
	last := ""
	for pager.Next() {
		m := pager.Current().AsMessage()
		roles, last = append(roles, string(m.Role)), m.ID
	}
	if err := pager.Err(); err != nil || len(roles) != 5 || roles[3] != "assistant" || last != added.Data[0].ID {
		t.Errorf("the items are of %v, the last is %s: %v", roles, last, err)
	}
	if got, err := g.Conversations.Items.Delete(ctx, c.ID, last); err != nil || got.ID != c.ID {
		t.Errorf("the item's deletion answered %+v, %v", got, err)
	}
	if got, err := g.Conversations.Delete(ctx, c.ID); err != nil || !got.Deleted {
		t.Errorf("the deletion answered %+v, %v", got, err)
	}
	_, err = g.Conversations.Get(ctx, c.ID)
	var e *openai.Error
	if !errors.As(err, &e) || e.StatusCode != http.StatusNotFound {
		t.Errorf("the deleted conversation was read with %v, want 404", err)
	}
}
