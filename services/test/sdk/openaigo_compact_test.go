package sdk

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"

	"windlass.dev/windlass/services/mock"
)

func (g *goClient) compact(t *testing.T) {
	asked := g.params(mock.Plan{Text: "The keys are under the mat."})
	first := g.ask(t, asked)
	short, err := g.Responses.Compact(t.Context(), responses.ResponseCompactParams{
		Model: "demo", PreviousResponseID: param.NewOpt(first.ID), Instructions: param.NewOpt("Be brief."),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(short.Output) != 2 || short.Output[0].Content[0].Text != asked.Input.OfString.Value || short.Usage.OutputTokens == 0 {
		t.Fatalf("compacted to %s", short.RawJSON())
	}
	var window responses.ResponseInputParam
	for _, it := range short.Output {
		window = append(window, param.Override[responses.ResponseInputItemUnionParam](json.RawMessage(it.RawJSON())))
	}
	next := g.params(mock.Plan{Text: "Found them."})
	window = append(window, responses.ResponseInputItemParamOfMessage(next.Input.OfString.Value, responses.EasyInputMessageRoleUser))
	next.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: window}
	if r := g.ask(t, next); r.OutputText() != "Found them." {
		t.Errorf("it continues with %s", r.RawJSON())
	}
	again, err := g.Responses.Compact(t.Context(), responses.ResponseCompactParams{
		Model: "demo", Input: responses.ResponseCompactParamsInputUnion{OfResponseInputItemArray: window},
	})
	if err != nil || len(again.Output) != 3 {
		t.Errorf("compacted again to %s, %v", again.RawJSON(), err)
	}
	next.Input.OfInputItemList = responses.ResponseInputParam{responses.ResponseInputItemParamOfCompaction("AQ")}
	_, err = g.Responses.New(t.Context(), next)
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusBadRequest || refused.Code != "invalid_encrypted_content" {
		t.Errorf("a forged item is answered with %v", err)
	}
}
