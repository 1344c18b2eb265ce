package sdk

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"

	"windlass.dev/windlass/services/mock"
)

// goClient is openai-go with the state that its scenarios share.
type goClient struct {
	openai.Client
	seed int64
}

// openaiGo runs the scenarios of openai-go.
func openaiGo(t *testing.T, url string) {
	t.Helper()
	r := record(t, url)
	g := &goClient{openai.NewClient(option.WithBaseURL(r.URL+"/v1"), option.WithAPIKey(apiKey), option.WithMaxRetries(0)), firstSeed()}
	for _, s := range []struct {
		name string
		run  func(*goClient, *testing.T)
	}{
		{"create", (*goClient).create},
		{"structured", (*goClient).structured},
		{"functions", (*goClient).functions},
		{"tools", (*goClient).tools},
		{"background", (*goClient).background},
		{"cancel", (*goClient).cancel},
		{"chain", (*goClient).chain},
		{"compact", (*goClient).compact},
		{"input_tokens", (*goClient).inputTokens},
		{"errors", (*goClient).errors},
		{"stream", (*goClient).stream},
		{"stream_functions", (*goClient).streamFunctions},
		{"stream_tools", (*goClient).streamTools},
		{"stream_errors", (*goClient).streamErrors},
		{"resume", (*goClient).resume},
		{"delete", (*goClient).delete},
		{"input_items", (*goClient).inputItems},
		{"conversations", (*goClient).conversations},
		{"models", (*goClient).models},
		{"chat", (*goClient).chat},
		{"chat_stream", (*goClient).chatStream},
		{"embeddings", (*goClient).embeddings},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(g, t) })
	}
	r.Close()
	t.Run("received", func(t *testing.T) { judge(t, r.exchanges) })
}

// params returns a request that the plan answers, under its own seed.
func (g *goClient) params(p mock.Plan) responses.ResponseNewParams {
	g.seed++
	p.Seed = g.seed
	return responses.ResponseNewParams{Model: "demo", Input: text(p.Prompt())}
}

func text(s string) responses.ResponseNewParamsInputUnion {
	return responses.ResponseNewParamsInputUnion{OfString: param.NewOpt(s)}
}

func (g *goClient) ask(t *testing.T, params responses.ResponseNewParams) *responses.Response {
	t.Helper()
	r, err := g.Responses.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (g *goClient) get(t *testing.T, id string) *responses.Response {
	t.Helper()
	r, err := g.Responses.Get(t.Context(), id, responses.ResponseGetParams{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ended polls a response until it is terminal.
func (g *goClient) ended(t *testing.T, id string) *responses.Response {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if r := g.get(t, id); r.Status != "queued" && r.Status != "in_progress" {
			return r
		}
		time.Sleep(25 * time.Millisecond) //nolint:forbidigo // polls another process, with a deadline
	}
	t.Fatalf("%s did not end in %s", id, patience)
	return nil
}

func (g *goClient) create(t *testing.T) {
	params := g.params(mock.Plan{Text: "Hello there."})
	params.Metadata = map[string]string{"a": "b"}
	params.Temperature = openai.Float(0.5)
	r := g.ask(t, params)
	if r.Status != "completed" || r.OutputText() != "Hello there." || r.Temperature != 0.5 || r.Metadata["a"] != "b" || r.Usage.TotalTokens == 0 {
		t.Errorf("the response is %s", r.RawJSON())
	}
	if again := g.get(t, r.ID); again.RawJSON() != r.RawJSON() {
		t.Errorf("it is read as %s, it was %s", again.RawJSON(), r.RawJSON())
	}
}

func (g *goClient) structured(t *testing.T) {
	params := g.params(mock.Plan{Text: `{"city":"Paris"}`})
	params.Text.Format = responses.ResponseFormatTextConfigParamOfJSONSchema("weather", map[string]any{
		"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}},
		"required": []string{"city"}, "additionalProperties": false,
	})
	r := g.ask(t, params)
	var got struct{ City string }
	if err := json.Unmarshal([]byte(r.OutputText()), &got); err != nil || got.City != "Paris" {
		t.Errorf("the text is %q: %v", r.OutputText(), err)
	}
	if f := r.Text.Format; f.Type != "json_schema" || f.Name != "weather" {
		t.Errorf("the format is %s", f.RawJSON())
	}
}

// lookup is a function of the client.
func lookup() responses.ToolUnionParam {
	return responses.ToolParamOfFunction("lookup", map[string]any{
		"type": "object", "properties": map[string]any{"number": map[string]any{"type": "string"}},
		"required": []string{"number"}, "additionalProperties": false,
	}, true)
}

// hosted offers the registered tools.
func hosted() responses.ToolUnionParam {
	return responses.ToolParamOfMcp("windlass")
}

func (g *goClient) functions(t *testing.T) {
	params := g.params(mock.Plan{Rounds: 1, Tool: "lookup", RawArguments: `{"number":"7"}`, Text: "Sent on Monday."})
	params.Tools = []responses.ToolUnionParam{lookup()}
	r := g.ask(t, params)
	if len(r.Output) != 1 || r.Output[0].Type != "function_call" {
		t.Fatalf("the output is %s", r.RawJSON())
	}
	call := r.Output[0].AsFunctionCall()
	if call.Name != "lookup" || call.Arguments != `{"number":"7"}` {
		t.Errorf("the call is %s", call.RawJSON())
	}
	output := responses.ResponseInputItemParamOfFunctionCallOutput("sent")
	output.OfFunctionCallOutput.CallID = param.NewOpt(call.CallID)
	params.PreviousResponseID = param.NewOpt(r.ID)
	params.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{output}}
	if r = g.ask(t, params); r.OutputText() != "Sent on Monday." {
		t.Errorf("the answer is %s", r.RawJSON())
	}
}

func (g *goClient) tools(t *testing.T) {
	params := responses.ResponseNewParams{
		Model: "demo", Input: text("What is the weather in Paris and Tokyo?"), Tools: []responses.ToolUnionParam{hosted()},
	}
	r := g.ask(t, params)
	if len(r.Output) != 4 || r.Output[3].Type != "message" {
		t.Fatalf("the output is %s", r.RawJSON())
	}
	if list := r.Output[0].AsMcpListTools(); list.Type != "mcp_list_tools" || list.ServerLabel != "windlass" || len(list.Tools) == 0 {
		t.Errorf("the list is %s", r.Output[0].RawJSON())
	}
	for _, o := range r.Output[1:3] {
		if call := o.AsMcpCall(); call.Type != "mcp_call" || call.Name != "get_weather" || call.ServerLabel != "windlass" || call.Output == "" {
			t.Errorf("a call is %s", o.RawJSON())
		}
	}
}

func (g *goClient) background(t *testing.T) {
	params := g.params(mock.Plan{Text: "At last.", ThinkMS: 200})
	params.Background = param.NewOpt(true)
	r := g.ask(t, params)
	if r.Status != "queued" && r.Status != "in_progress" {
		t.Errorf("it begins as %s", r.Status)
	}
	if r = g.ended(t, r.ID); r.OutputText() != "At last." {
		t.Errorf("it ends as %s", r.RawJSON())
	}
}

func (g *goClient) cancel(t *testing.T) {
	params := g.params(mock.Plan{ThinkMS: 60_000})
	params.Background = param.NewOpt(true)
	r := g.ask(t, params)
	for range 2 {
		got, err := g.Responses.Cancel(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != "cancelled" {
			t.Errorf("the cancel answered %s", got.Status)
		}
	}
	if got := g.get(t, r.ID); got.Status != "cancelled" {
		t.Errorf("after the cancel it is %s", got.Status)
	}
}

func (g *goClient) chain(t *testing.T) {
	before, tokens := "", int64(0)
	for _, say := range []string{"One.", "Two.", "Three."} {
		params := g.params(mock.Plan{Text: say})
		if before != "" {
			params.PreviousResponseID = param.NewOpt(before)
		}
		r := g.ask(t, params)
		if r.OutputText() != say || r.PreviousResponseID != before || r.Usage.InputTokens <= tokens {
			t.Errorf("after %d input tokens comes %s", tokens, r.RawJSON())
		}
		before, tokens = r.ID, r.Usage.InputTokens
	}
}

func (g *goClient) errors(t *testing.T) {
	hot := g.params(mock.Plan{})
	hot.Temperature = openai.Float(9)
	nobody := g.params(mock.Plan{})
	nobody.Model = "nobody"
	for name, tt := range map[string]struct {
		params      responses.ResponseNewParams
		opts        []option.RequestOption
		status      int
		code, param string
	}{
		"a bad value":   {hot, nil, http.StatusBadRequest, "decimal_above_max_value", "temperature"},
		"no such model": {nobody, nil, http.StatusNotFound, "model_not_found", "model"},
		"a wrong key":   {g.params(mock.Plan{}), []option.RequestOption{option.WithAPIKey("wrong")}, http.StatusUnauthorized, "invalid_api_key", ""},
	} {
		_, err := g.Responses.New(t.Context(), tt.params, tt.opts...)
		var e *openai.Error
		if !errors.As(err, &e) || e.StatusCode != tt.status || e.Code != tt.code || e.Param != tt.param || e.Message == "" {
			t.Errorf("%s: %v, want %d %s %s", name, err, tt.status, tt.code, tt.param)
		}
	}
	g.expectGone(t, "resp_01a2067ee65570259391d506a2415c60")
}
