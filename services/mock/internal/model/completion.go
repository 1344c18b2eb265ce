package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"windlass.dev/windlass/services/mock/internal/exchange"
	"windlass.dev/windlass/services/mock/internal/jsontext"
	"windlass.dev/windlass/services/mock/internal/ledger"
	"windlass.dev/windlass/services/mock/internal/script"
)

// Complete is POST /v1/completions: the plan's text, or the prompt if it has no
// plan.
func (s Server) Complete(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model  string          `json:"model"`
		Prompt json.RawMessage `json:"prompt"`
		Stream bool            `json:"stream"`
	}
	var plan script.Plan
	var refusal, param string
	rep := reply{finish: "stop"}
	e := ledger.Entry{Kind: "completion", Started: time.Now()}
	if !exchange.WithBody(w, r, func(body []byte) {
		e.RequestBytes = len(body)
		if err := json.Unmarshal(body, &req); err != nil {
			refusal = fmt.Sprintf("We could not parse the JSON body of your request: %v.", err)
			return
		}
		if req.Model == "" {
			refusal, param = "Missing required parameter: 'model'.", "model"
		}
		for _, text := range jsontext.Texts(req.Prompt) {
			rep.text = text
			rep.promptTokens += script.CountTokens(text)
		}
	}) {
		return
	}
	if p, ok := script.Parse(rep.text); ok {
		plan, rep.text = p, p.FinalText(nil)
	}
	rep.model, rep.id = req.Model, "cmpl-"+strconv.FormatInt(plan.Seed, 10)
	e.Seed = plan.Seed
	x := s.Begin(w, r, e)
	defer x.End()
	if refusal != "" {
		x.Refuse(refusal, param)
		return
	}
	plan.AnswerCall(x, func() (exchange.Answer, script.Usage) {
		used := script.Usage{PromptTokens: rep.promptTokens, CompletionTokens: rep.completionTokens()}
		if req.Stream {
			return rep.textEvents(), used
		}
		return rep.textBody(), used
	})
}

// textBody returns the reply as a text completion.
func (rep *reply) textBody() exchange.Answer {
	b := rep.appendHead(nil, "text_completion")
	empty := append(append([]byte(nil), b...), `,"choices":[]}`...)
	b = append(rep.appendText(append(b, `,"choices":[`...), rep.text, rep.finish), `],"usage":`...)
	return exchange.Answer{ContentType: exchange.JSON, Body: append(rep.appendUsage(b), '}'), Empty: empty}
}

// textEvents returns the reply word by word, always with its usage.
func (rep *reply) textEvents() exchange.Answer {
	a := exchange.Answer{ContentType: exchange.Stream, Empty: []byte("data: [DONE]\n\n")}
	chunk := func(inside []byte) {
		b := append(rep.appendHead(append(a.Body, "data: "...), "text_completion"), `,"choices":[`...)
		a.Body = append(append(b, inside...), "}\n\n"...)
	}
	for word := range strings.SplitAfterSeq(rep.text, " ") {
		chunk(append(rep.appendText(nil, word, ""), ']'))
	}
	chunk(append(rep.appendText(nil, "", rep.finish), ']'))
	chunk(rep.appendUsage([]byte(`],"usage":`)))
	a.Body = append(a.Body, a.Empty...)
	return a
}

func (rep *reply) appendText(b []byte, text, finish string) []byte {
	b = append(jsontext.AppendString(append(b, `{"index":0,"text":`...), text), `,"logprobs":null,"finish_reason":`...)
	if finish == "" {
		return append(b, "null}"...)
	}
	return append(jsontext.AppendString(b, finish), '}')
}
