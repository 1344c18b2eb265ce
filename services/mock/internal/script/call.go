package script

import (
	"net/http"

	"windlass.dev/windlass/services/mock/internal/exchange"
	"windlass.dev/windlass/services/mock/internal/fault"
)

// AnswerCall answers a call without rounds: after the think time, with the
// plan's fault, or with what right returns.
func (p Plan) AnswerCall(x *exchange.Exchange, right func() (exchange.Answer, Usage)) {
	if !x.Wait(p.ThinkTime()) {
		return
	}
	a, used := right()
	if f := fault.First(p.ModelFaults, 0, fault.AnyIndex, x.Attempt); f != nil {
		f.Answer(x, a)
		return
	}
	x.Outcome.PromptTokens, x.Outcome.CompletionTokens = used.PromptTokens, used.CompletionTokens
	x.Send(http.StatusOK, a.ContentType, a.Body)
}
