package mock

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// complete is POST /v1/completions: the plan's text, or the prompt once more where it has no plan.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model  string          `json:"model"`
		Prompt json.RawMessage `json:"prompt"`
		Stream bool            `json:"stream"`
	}
	var plan Plan
	var refusal, param string
	rep := reply{finish: "stop"}
	e := Entry{Kind: "completion", Started: time.Now()}
	if err := withBody(w, r, func(body []byte) {
		e.RequestBytes = len(body)
		if err := json.Unmarshal(body, &req); err != nil {
			refusal = fmt.Sprintf("We could not parse the JSON body of your request: %v.", err)
			return
		}
		if req.Model == "" {
			refusal, param = "Missing required parameter: 'model'.", "model"
		}
		for _, text := range readTexts(req.Prompt) {
			rep.text = text
			rep.promptTokens += words(text)
		}
	}); err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	if p, ok := ParsePlan(rep.text); ok {
		plan, rep.text = p, p.finalText(nil)
	}
	rep.model, rep.id = req.Model, "cmpl-"+strconv.FormatInt(plan.Seed, 10)
	e.Seed = plan.Seed
	x := s.begin(w, r, e)
	defer x.end()
	x.once(&plan, refusal, param, func() (answer, Entry) {
		used := Entry{PromptTokens: rep.promptTokens, CompletionTokens: rep.completionTokens()}
		if req.Stream {
			return rep.textEvents(), used
		}
		return rep.textBody(), used
	})
}

// textBody is the reply as a text completion.
func (rep *reply) textBody() answer {
	b := rep.appendHead(nil, "text_completion")
	empty := append(append([]byte(nil), b...), `,"choices":[]}`...)
	b = append(rep.appendText(append(b, `,"choices":[`...), rep.text, rep.finish), `],"usage":`...)
	return answer{contentType: jsonType, body: append(rep.appendUsage(b), '}'), empty: empty}
}

// textEvents is the reply word by word, with its usage, asked for or not.
func (rep *reply) textEvents() answer {
	a := answer{contentType: streamType, empty: []byte("data: [DONE]\n\n")}
	chunk := func(inside []byte) {
		b := append(rep.appendHead(append(a.body, "data: "...), "text_completion"), `,"choices":[`...)
		a.body = append(append(b, inside...), "}\n\n"...)
	}
	for word := range strings.SplitAfterSeq(rep.text, " ") {
		chunk(append(rep.appendText(nil, word, ""), ']'))
	}
	chunk(append(rep.appendText(nil, "", rep.finish), ']'))
	chunk(rep.appendUsage([]byte(`],"usage":`)))
	a.body = append(a.body, a.empty...)
	return a
}

func (rep *reply) appendText(b []byte, text, finish string) []byte {
	b = append(appendString(append(b, `{"index":0,"text":`...), text), `,"logprobs":null,"finish_reason":`...)
	if finish == "" {
		return append(b, "null}"...)
	}
	return append(appendString(b, finish), '}')
}
