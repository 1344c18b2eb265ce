package sdk

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"

	"windlass.dev/windlass/services/mock"
)

// openaiGoSocket runs the scenarios of openai-go's WebSocket client.
func openaiGoSocket(t *testing.T, url string) {
	t.Helper()
	r := record(t, url)
	g := &goClient{openai.NewClient(option.WithBaseURL(r.URL+"/v1"), option.WithAPIKey(apiKey), option.WithMaxRetries(0)), firstSeed()}
	for _, s := range []struct {
		name string
		run  func(*goSocket, *testing.T)
	}{
		{"create", (*goSocket).create},
		{"functions", (*goSocket).functions},
		{"chain", (*goSocket).chain},
		{"errors", (*goSocket).errors},
		{"lanes", (*goSocket).lanes},
	} {
		t.Run(s.name, func(t *testing.T) {
			conn, err := g.Responses.Connect(t.Context(), responses.ResponseConnectionOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s.run(&goSocket{g, conn}, t)
			if err := conn.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	t.Run("a wrong key", func(t *testing.T) {
		_, err := g.Responses.Connect(t.Context(), responses.ResponseConnectionOptions{}, option.WithAPIKey("wrong"))
		var refused *openai.Error
		if err == nil || errors.As(err, &refused) && refused.StatusCode != 401 {
			t.Errorf("connected with a wrong key: %v", err)
		}
	})
	r.Close()
	t.Run("received", func(t *testing.T) { judge(t, r.exchanges) })
	overSockets(t, r)
}

// goSocket is one connection.
type goSocket struct {
	*goClient
	*responses.ResponseConnection
}

type goRequest = responses.ResponsesClientEventResponseCreateParam

// plan returns a request that the plan answers, under its own seed.
func (s *goSocket) plan(p mock.Plan) goRequest {
	s.seed++
	p.Seed = s.seed
	return goRequest{
		Model: "demo", Input: responses.ResponsesClientEventResponseCreateInputUnionParam{OfString: param.NewOpt(p.Prompt())},
	}
}

// send sends a request and returns the final response.
func (s *goSocket) send(t *testing.T, request goRequest) *responses.Response {
	t.Helper()
	if err := s.Create(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	r, err := s.FinalResponse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *goSocket) create(t *testing.T) {
	if err := s.Create(t.Context(), s.plan(mock.Plan{Text: "One two three."})); err != nil {
		t.Fatal(err)
	}
	said, number := "", int64(0)
	for {
		event, err := s.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Type, Delta string
			Number      *int64 `json:"sequence_number"`
		}
		if err := json.Unmarshal([]byte(event.RawJSON()), &e); err != nil || e.Number == nil || *e.Number != number {
			t.Fatalf("event %d is %s: %v", number, event.RawJSON(), err)
		}
		number++
		if e.Type == "response.output_text.delta" {
			said += e.Delta
		}
		if e.Type == "response.completed" {
			break
		}
	}
	if said != "One two three." {
		t.Errorf("the deltas say %q", said)
	}
}

func (s *goSocket) functions(t *testing.T) {
	request := s.plan(mock.Plan{Rounds: 1, Tool: "lookup", RawArguments: `{"number":"7"}`, Text: "Sent on Monday."})
	request.Tools, request.Store = []responses.ToolUnionParam{lookup()}, param.NewOpt(false)
	r := s.send(t, request)
	if len(r.Output) != 1 || r.Output[0].Type != "function_call" {
		t.Fatalf("the output is %s", r.RawJSON())
	}
	output := responses.ResponseInputItemParamOfFunctionCallOutput("sent")
	output.OfFunctionCallOutput.CallID = param.NewOpt(r.Output[0].AsFunctionCall().CallID)
	request.PreviousResponseID = param.NewOpt(r.ID)
	request.Input = responses.ResponsesClientEventResponseCreateInputUnionParam{OfResponse: &responses.ResponseInputParam{output}}
	if r = s.send(t, request); r.OutputText() != "Sent on Monday." {
		t.Errorf("the answer is %s", r.RawJSON())
	}
}

func (s *goSocket) chain(t *testing.T) {
	first := s.send(t, s.plan(mock.Plan{Text: "One."}))
	next := s.plan(mock.Plan{Text: "Two."})
	next.PreviousResponseID = param.NewOpt(first.ID)
	if r := s.send(t, next); r.OutputText() != "Two." || r.PreviousResponseID != first.ID {
		t.Errorf("the answer is %s", r.RawJSON())
	}
}

func (s *goSocket) errors(t *testing.T) {
	request := s.plan(mock.Plan{Text: "Never."})
	request.Model = "no-such-model"
	if err := s.Create(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	_, err := s.FinalResponse(t.Context())
	var refused *responses.ResponseProtocolError
	if !errors.As(err, &refused) {
		t.Fatalf("FinalResponse = %v, want an error of the API", err)
	}
	if r := s.send(t, s.plan(mock.Plan{Text: "Still here."})); r.OutputText() != "Still here." {
		t.Errorf("the connection answers %s after a refusal", r.RawJSON())
	}
}

func (s *goSocket) lanes(t *testing.T) {
	texts := map[string]string{"a": "Of a.", "b": "Of b."}
	open := map[string]*responses.ResponseLane{}
	for id := range texts {
		lane, err := s.Lane(id)
		if err != nil {
			t.Fatal(err)
		}
		open[id] = lane
	}
	for id, text := range texts {
		request := s.plan(mock.Plan{Text: text})
		request.StreamID = param.NewOpt(id)
		if err := s.Create(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	for id, text := range texts {
		r, err := open[id].FinalResponse(t.Context())
		if err != nil || r.OutputText() != text {
			t.Errorf("lane %s answers %v, %v; want %q", id, r, err, text)
		}
	}
}
