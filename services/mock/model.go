package mock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// turn is one model call understood: where its run stands and what to answer.
type turn struct {
	plan           Plan
	round          int
	stream         bool
	reply          reply
	form           form // how the reply is written
	requestBytes   int
	refusal, param string // answered with 400 instead
}

// form is the API in which a reply is written.
type form interface {
	body(*reply) []byte
	empty(*reply) []byte            // a body that lacks what matters
	events(*reply) iter.Seq[[]byte] // an event is only good until the next one
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) { s.model(w, r, readChat) }

// model answers a model call. read keeps nothing of the body.
func (s *Server) model(w http.ResponseWriter, r *http.Request, read func(body []byte) turn) {
	var t turn
	started := time.Now()
	if err := withBody(w, r, func(body []byte) { t = read(body) }); err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	x := s.begin(w, r, Entry{Kind: "model", Seed: t.plan.Seed, Round: t.round, Started: started, RequestBytes: t.requestBytes})
	defer x.end()
	if t.refusal != "" {
		x.refuse(t.refusal, t.param)
		return
	}
	if !x.wait(t.plan.thinkTime()) {
		return
	}
	if f := firstFault(t.plan.ModelFaults, t.round, anyIndex, x.entry.Attempt); f != nil && !t.reply.spoil(f) {
		x.misbehave(f, t.answer())
		return
	}
	x.outcome.PromptTokens, x.outcome.CompletionTokens = t.reply.promptTokens, t.reply.completionTokens()
	if t.stream {
		x.streamReply(&t)
		return
	}
	x.send(http.StatusOK, jsonType, t.form.body(&t.reply))
}

func readChat(body []byte) turn {
	t := turn{requestBytes: len(body)}
	var req chatRequest
	if err := json.Unmarshal(body, &req); err != nil {
		t.refusal = fmt.Sprintf("We could not parse the JSON body of your request: %v.", err)
		return t
	}
	t.form = chatForm{usage: req.StreamOptions.IncludeUsage}
	t.read(&req, "messages", len(topLevel(body, "messages")))
	t.reply.id = "chatcmpl-" + strconv.FormatInt(t.plan.Seed, 10) + "-" + strconv.Itoa(t.round)
	return t
}

// read understands a conversation of that many bytes. param is the field that it came in.
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
		t.round, t.reply = len(after(rounds, at)), plan.summary(req.Messages)
	case asksSummary(req.Messages):
		t.reply = demoSummary(req.Messages)
	case at >= 0:
		rounds = after(rounds, at)
		t.round = len(rounds)
		t.reply, t.refusal = plan.reply(rounds)
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

// reply is what the model says after the rounds it was shown.
func (p Plan) reply(rounds []round) (rep reply, refusal string) {
	width := p.width()
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
			rep.calls[i] = toolCall{p.callID(now, i), p.toolName(now, i), p.arguments(now, i)}
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
	rep.text = p.finalText(p.seen(rounds))
	return rep, ""
}

// seen is the value of every call, in order, as the conversation shows it. A
// call that was not echoed counts as failed.
func (p Plan) seen(rounds []round) []string {
	width := p.width()
	values := make([]string, 0, p.Rounds*width)
	for n := range min(p.Rounds, len(rounds)) {
		for i := range width {
			v := failedValue
			if i < len(rounds[n].outputs) {
				v = seenValue(rounds[n].outputs[i].text())
			}
			values = append(values, v)
		}
	}
	return values
}

// spoil makes the change of a fault that leaves the reply well-formed, and
// reports whether it is one.
func (rep *reply) spoil(f *Fault) bool {
	switch f.Mode {
	case "nul":
		rep.text += "a\x00b"
	case "big":
		rep.text += strings.Repeat("x", max(0, f.bytes(10<<20)))
		rep.whole = true
	default:
		return false
	}
	return true
}

// answer is the whole reply in the form that was asked for.
func (t *turn) answer() answer {
	if !t.stream {
		return answer{contentType: jsonType, body: t.form.body(&t.reply), empty: t.form.empty(&t.reply)}
	}
	a := answer{contentType: streamType, empty: []byte("data: [DONE]\n\n")}
	for event := range t.form.events(&t.reply) {
		a.body = append(a.body, event...)
	}
	return a
}

// streamReply sends the events at the plan's rate, measured from the start so
// that waits which last too long do not add up. Events that are due together go
// out together.
func (x *exchange) streamReply(t *turn) {
	const most = 32 << 10
	x.head(http.StatusOK, streamType, -1)
	start, sent := time.Now(), 0
	var buf []byte
	for event := range t.form.events(&t.reply) {
		var early time.Duration
		if t.plan.TokenRate > 0 {
			early = time.Until(start.Add(time.Duration(float64(sent) / t.plan.TokenRate * float64(time.Second))))
		}
		if (early > 0 || len(buf) > most) && len(buf) > 0 {
			if !x.write(buf) || !x.flush() {
				return
			}
			buf = buf[:0]
		}
		if !x.wait(early) {
			return
		}
		if t.plan.Stamp {
			event = bytes.Replace(event, []byte(unstamped), strconv.AppendInt(nil, time.Now().UnixNano(), 10), 1)
		}
		buf = append(buf, event...)
		sent++
	}
	x.write(buf)
}
