// Package model answers model calls as their plans say: chat completions,
// responses and text completions.
package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"windlass.dev/windlass/services/mock/internal/exchange"
	"windlass.dev/windlass/services/mock/internal/fault"
	"windlass.dev/windlass/services/mock/internal/jsontext"
	"windlass.dev/windlass/services/mock/internal/ledger"
	"windlass.dev/windlass/services/mock/internal/script"
)

// turn is a decoded model call: its place in the run and its answer.
type turn struct {
	plan           script.Plan
	round          int
	stream         bool
	reply          reply
	form           form // how the reply is written
	requestBytes   int
	refusal, param string // answered with 400 instead
}

// form is the API that a reply is written for.
type form interface {
	body(*reply) []byte
	empty(*reply) []byte            // a body without choices or output
	events(*reply) iter.Seq[[]byte] // an event is valid until the next one
}

// Server answers model calls.
type Server struct{ *exchange.Recorder }

// Chat is POST /v1/chat/completions.
func (s Server) Chat(w http.ResponseWriter, r *http.Request) { s.answer(w, r, readChat) }

// answer answers a model call. read must not keep the body.
func (s Server) answer(w http.ResponseWriter, r *http.Request, read func(body []byte) turn) {
	var t turn
	started := time.Now()
	if !exchange.WithBody(w, r, func(body []byte) { t = read(body) }) {
		return
	}
	x := s.Begin(w, r, ledger.Entry{
		Kind: "model", Seed: t.plan.Seed, Round: t.round, Started: started, RequestBytes: t.requestBytes,
	})
	defer x.End()
	if t.refusal != "" {
		x.Refuse(t.refusal, t.param)
		return
	}
	if !x.Wait(t.plan.ThinkTime()) {
		return
	}
	f := fault.First(t.plan.ModelFaults, t.round, fault.AnyIndex, x.Attempt)
	if f != nil && !t.reply.change(f) {
		f.Answer(x, t.answer())
		return
	}
	x.Outcome.PromptTokens, x.Outcome.CompletionTokens = t.reply.promptTokens, t.reply.completionTokens()
	if t.stream {
		streamReply(x, &t)
		return
	}
	x.Send(http.StatusOK, exchange.JSON, t.form.body(&t.reply))
}

func readChat(body []byte) turn {
	t := turn{requestBytes: len(body)}
	var req chatRequest
	if err := json.Unmarshal(body, &req); err != nil {
		t.refusal = fmt.Sprintf("We could not parse the JSON body of your request: %v.", err)
		return t
	}
	t.form = chatForm{usage: req.StreamOptions.IncludeUsage}
	t.read(&req, "messages", len(jsontext.TopLevel(body, "messages")))
	t.reply.id = "chatcmpl-" + strconv.FormatInt(t.plan.Seed, 10) + "-" + strconv.Itoa(t.round)
	return t
}

// read decodes a conversation of size bytes, which came in the field param.
func (t *turn) read(req *chatRequest, param string, size int) {
	if req.Model == "" {
		t.refusal, t.param = "Missing required parameter: 'model'.", "model"
		return
	}
	t.stream = req.Stream
	plan, at := findPlan(req.Messages)
	t.plan = plan
	rounds, refusal := pair(req.Messages)
	if refusal != "" {
		t.refusal, t.param = refusal, param
		return
	}
	switch {
	case asksSummary(req.Messages) && (at >= 0 || req.Model != "demo"):
		t.round, t.reply = len(after(rounds, at)), summarize(plan, req.Messages)
	case asksSummary(req.Messages):
		t.reply = demoSummary(req.Messages)
	case at >= 0:
		rounds = after(rounds, at)
		t.round = len(rounds)
		t.reply, t.refusal = replyTo(plan, rounds)
	case req.Model == "demo":
		t.round, t.reply = demoReply(req, rounds)
	default:
		t.refusal = `The mock model needs a plan: a user message with "plan:" followed by a JSON object.`
	}
	if t.refusal != "" {
		t.param = param
	}
	t.reply.model = req.Model
	t.reply.promptTokens = size / 4
}

// replyTo returns what the model says after the rounds so far.
func replyTo(p script.Plan, rounds []round) (rep reply, refusal string) {
	width := p.CallsPerRound()
	for n := range rounds {
		if got := len(rounds[n].outputs); got > width {
			return reply{}, fmt.Sprintf("Round %d has %d tool calls, the model made %d.", n, got, width)
		}
	}
	rep.reasoning, rep.finish = p.Reasoning, "stop"
	if now := len(rounds); p.Loop || now < p.Rounds {
		rep.finish = "tool_calls"
		rep.calls = make([]toolCall, width)
		for i := range rep.calls {
			rep.calls[i] = toolCall{p.CallID(now, i), p.ToolName(now, i), p.Arguments(now, i)}
		}
		if p.CutToolCalls && width > 0 {
			last := &rep.calls[width-1]
			rep.finish, last.arguments = "length", last.arguments[:len(last.arguments)/2]
		}
		return rep, ""
	}
	if p.FinishReason != "" {
		rep.finish = p.FinishReason
	}
	rep.text = p.FinalText(readValues(p, rounds))
	return rep, ""
}

// readValues returns the value of every call, in order, from the conversation.
// A call without a readable value counts as failed.
func readValues(p script.Plan, rounds []round) []string {
	width := p.CallsPerRound()
	values := make([]string, 0, p.Rounds*width)
	for n := range min(p.Rounds, len(rounds)) {
		for i := range width {
			v := script.FailedValue
			if i < len(rounds[n].outputs) {
				v = script.ReadValue(rounds[n].outputs[i].text())
			}
			values = append(values, v)
		}
	}
	return values
}

// change applies a fault that leaves the reply well-formed. It returns false
// for other faults.
func (rep *reply) change(f *fault.Fault) bool {
	add, size, changes := f.Change()
	rep.text += add + strings.Repeat("x", max(0, size))
	rep.whole = rep.whole || size != 0
	return changes
}

// answer returns the whole reply in the requested form.
func (t *turn) answer() exchange.Answer {
	if !t.stream {
		return exchange.Answer{ContentType: exchange.JSON, Body: t.form.body(&t.reply), Empty: t.form.empty(&t.reply)}
	}
	a := exchange.Answer{ContentType: exchange.Stream, Empty: []byte("data: [DONE]\n\n")}
	for event := range t.form.events(&t.reply) {
		a.Body = append(a.Body, event...)
	}
	return a
}

// streamReply sends the events at the plan's rate. It measures from the start,
// so that late events do not delay later ones. Events that are due together are
// sent together.
func streamReply(x *exchange.Exchange, t *turn) {
	const most = 32 << 10
	x.Head(http.StatusOK, exchange.Stream, -1)
	start, sent := time.Now(), 0
	var buf []byte
	for event := range t.form.events(&t.reply) {
		var early time.Duration
		if t.plan.TokenRate > 0 {
			early = time.Until(start.Add(time.Duration(float64(sent) / t.plan.TokenRate * float64(time.Second))))
		}
		if (early > 0 || len(buf) > most) && len(buf) > 0 {
			if !x.Write(buf) || !x.Flush() {
				return
			}
			buf = buf[:0]
		}
		if !x.Wait(early) {
			return
		}
		if t.plan.Stamp {
			event = bytes.Replace(event, []byte(script.Unstamped), strconv.AppendInt(nil, time.Now().UnixNano(), 10), 1)
		}
		buf = append(buf, event...)
		sent++
	}
	x.Write(buf)
}
