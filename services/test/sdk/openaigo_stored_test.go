package sdk

import (
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"

	"windlass.dev/windlass/services/mock"
)

// expectGone holds that the response does not exist.
func (g *goClient) expectGone(t *testing.T, id string) {
	t.Helper()
	_, err := g.Responses.Get(t.Context(), id, responses.ResponseGetParams{})
	var e *openai.Error
	if !errors.As(err, &e) || e.StatusCode != http.StatusNotFound {
		t.Errorf("%s was read with %v, want 404", id, err)
	}
}

func (g *goClient) delete(t *testing.T) {
	r := g.ask(t, g.params(mock.Plan{Text: "Soon gone."}))
	if err := g.Responses.Delete(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	g.expectGone(t, r.ID)
}

func (g *goClient) inputItems(t *testing.T) {
	params := g.params(mock.Plan{Text: "Read."})
	plan := params.Input.OfString.Value
	params.Input = responses.ResponseNewParamsInputUnion{}
	for _, say := range []string{"0", "1", "2", "3", "4", "5", "6", plan} {
		params.Input.OfInputItemList = append(params.Input.OfInputItemList, responses.ResponseInputItemParamOfMessage(say, "user"))
	}
	r := g.ask(t, params)
	pager := g.Responses.InputItems.ListAutoPaging(t.Context(), r.ID, responses.InputItemListParams{Limit: param.NewOpt(int64(3)), Order: "asc"})
	n := 0
	for ; pager.Next(); n++ {
		want := strconv.Itoa(n)
		if n == 7 {
			want = plan
		}
		if m := pager.Current().AsMessage(); len(m.Content) != 1 || m.Content[0].Text != want {
			t.Errorf("item %d is %s, want %q", n, pager.Current().RawJSON(), want)
		}
	}
	if err := pager.Err(); err != nil || n != 8 {
		t.Errorf("%d items were listed, want 8: %v", n, err)
	}
}

func (g *goClient) models(t *testing.T) {
	pager := g.Models.ListAutoPaging(t.Context())
	found := false
	for pager.Next() {
		found = found || pager.Current().ID == "demo"
	}
	if err := pager.Err(); err != nil || !found {
		t.Errorf("demo is among the models: %v: %v", found, err)
	}
}
