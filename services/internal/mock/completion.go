package mock

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// complete is POST /v1/completions: the plan's text, or the prompt once more where it has no plan.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Model  string          `json:"model"`
		Prompt json.RawMessage `json:"prompt"`
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
		b := rep.appendHead(nil, "text_completion")
		empty := append(append([]byte(nil), b...), `,"choices":[]}`...)
		b = appendString(append(b, `,"choices":[{"index":0,"text":`...), rep.text)
		b = appendString(append(b, `,"logprobs":null,"finish_reason":`...), rep.finish)
		b = append(rep.appendUsage(append(b, `}],"usage":`...)), '}')
		return answer{contentType: jsonType, body: b, empty: empty},
			Entry{PromptTokens: rep.promptTokens, CompletionTokens: rep.completionTokens()}
	})
}
