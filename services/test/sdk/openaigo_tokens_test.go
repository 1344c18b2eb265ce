package sdk

import (
	"testing"

	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"

	"windlass.dev/windlass/services/mock"
)

func (g *goClient) inputTokens(t *testing.T) {
	first := g.ask(t, g.params(mock.Plan{Text: "One."}))
	params := responses.InputTokenCountParams{
		Model: param.NewOpt("demo"), Input: responses.InputTokenCountParamsInputUnion{OfString: param.NewOpt("hello world")},
	}
	n, err := g.Responses.InputTokens.Count(t.Context(), params)
	if err != nil || n.InputTokens != 9 {
		t.Fatalf("hello world is counted as %+v, %v, want 9", n, err)
	}
	params.PreviousResponseID = param.NewOpt(first.ID)
	if more, err := g.Responses.InputTokens.Count(t.Context(), params); err != nil || more.InputTokens < n.InputTokens+20 {
		t.Errorf("with a history it is counted as %+v, %v", more, err)
	}
}
