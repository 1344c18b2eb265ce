package sdk

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"

	"windlass.dev/windlass/services/mock"
)

// messages returns a conversation that the plan answers, under its own seed.
func (g *goClient) messages(p mock.Plan) []openai.ChatCompletionMessageParamUnion {
	g.seed++
	p.Seed = g.seed
	return []openai.ChatCompletionMessageParamUnion{openai.UserMessage(p.Prompt())}
}

func (g *goClient) chat(t *testing.T) {
	ask := func(params openai.ChatCompletionNewParams) *openai.ChatCompletion {
		t.Helper()
		params.Model = "demo"
		c, err := g.Chat.Completions.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := ask(openai.ChatCompletionNewParams{Messages: g.messages(mock.Plan{Text: "Hello there."}), N: openai.Int(1)})
	if c.Choices[0].Message.Content != "Hello there." || c.Model != "demo" || c.Usage.TotalTokens == 0 {
		t.Errorf("the completion is %s", c.RawJSON())
	}
	params := openai.ChatCompletionNewParams{
		Messages: g.messages(mock.Plan{Rounds: 1, Tool: "lookup", RawArguments: `{"number":"7"}`, Text: "Sent on Monday."}),
		Tools:    []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: "lookup"})},
	}
	message := ask(params).Choices[0].Message
	if len(message.ToolCalls) != 1 || message.ToolCalls[0].Function.Name != "lookup" || message.ToolCalls[0].Function.Arguments != `{"number":"7"}` {
		t.Fatalf("the message is %s, want one call of lookup", message.RawJSON())
	}
	params.Messages = append(params.Messages, message.ToParam(), openai.ToolMessage("sent", message.ToolCalls[0].ID))
	if got := ask(params).Choices[0].Message.Content; got != "Sent on Monday." {
		t.Errorf("the model said %q", got)
	}
	_, err := g.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: "demo", Messages: g.messages(mock.Plan{
		ModelFaults: []mock.Fault{{Status: http.StatusNotFound, Body: `{"error":{"message":"No.","type":"t","param":"p","code":404}}`}},
	})})
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusNotFound || refused.Message != "No." || refused.Type != "t" ||
		refused.Param != "p" || refused.Code != "404" {
		t.Errorf("the error is %v", err)
	}
	if _, err := g.Models.Get(t.Context(), "demo"); err != nil {
		t.Errorf("the model is not found: %v", err)
	}
}

func (g *goClient) chatStream(t *testing.T) {
	stream := g.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{
		Model: "demo", Messages: g.messages(mock.Plan{Text: "One two three."}),
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)},
	})
	var all openai.ChatCompletionAccumulator
	for stream.Next() {
		if !all.AddChunk(stream.Current()) {
			t.Errorf("chunk %s does not go on with what came before", stream.Current().RawJSON())
		}
	}
	if err := stream.Err(); err != nil || all.Choices[0].Message.Content != "One two three." || all.Usage.CompletionTokens != 3 || all.Model != "demo" {
		t.Errorf("the stream is %+v, %v", all.ChatCompletion, err)
	}
	stream = g.Chat.Completions.NewStreaming(t.Context(), openai.ChatCompletionNewParams{
		Model: "demo", Messages: g.messages(mock.Plan{Text: "a b c d", ModelFaults: []mock.Fault{{Mode: "truncate", Times: 1}}}),
	})
	for stream.Next() {
	}
	if stream.Err() == nil {
		t.Error("a stream that broke off looks whole")
	}
}

func (g *goClient) embeddings(t *testing.T) {
	e, err := g.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: "demo", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"two words", "one"}}, Dimensions: openai.Int(4),
	})
	if err != nil {
		t.Fatal(err)
	}
	var want []float64
	raw, err := json.Marshal(mock.Vector("one", 4)) // as in the answer
	if err == nil {
		err = json.Unmarshal(raw, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, e.Data[1].Embedding); diff != "" || len(e.Data) != 2 || e.Usage.PromptTokens != 3 || e.Model != "demo" {
		t.Errorf("the embeddings are %s (-want +got):\n%s", e.RawJSON(), diff)
	}
}
