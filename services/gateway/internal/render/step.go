package render

import (
	"bytes"
	"encoding/json"
	"time"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/internal/transcript"
)

// stepTime is RFC 3339 in UTC with milliseconds.
const stepTime = "2006-01-02T15:04:05.000Z07:00"

// Step is one line of the audit trail. Index 0 is a turn's model call, 1
// and up are the calls it asked for. Of a tool, input and output are text: its
// arguments and what the model saw of its result; bytes that are not text, and
// U+0000, are shown as U+FFFD. Of a model they are lists of items: what it was
// shown and what it said. Nulls: not yet, not for this kind, or not kept.
type Step struct {
	Object     string           `json:"object"`
	Turn       int              `json:"turn"`
	Index      int              `json:"index"`
	Kind       string           `json:"kind"`  // model or tool
	Name       string           `json:"name"`  // of the model or the tool
	State      string           `json:"state"` // dispatched, done or failed
	Attempt    int              `json:"attempt"`
	CallID     *string          `json:"call_id"`
	CreatedAt  string           `json:"created_at"`
	FinishedAt *string          `json:"finished_at"`
	TookMS     *float64         `json:"took_ms"` // of the last attempt
	Usage      *stepUsage       `json:"usage"`
	Input      any              `json:"input"`
	Output     any              `json:"output"`
	Error      *json.RawMessage `json:"error"` // of the last attempt that failed
	// InputNotice says what is missing in a model's input, and why; null:
	// nothing.
	InputNotice *string `json:"input_notice"`
}

type stepUsage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
	TotalTokens  int64 `json:"total_tokens"`
}

// Trail returns the list of steps as clients see it; object is the type that
// its entries name.
func Trail(steps []run.Step, object string) httpapi.List[Step] {
	all := httpapi.List[Step]{Object: "list", Data: make([]Step, len(steps))}
	for i, step := range steps {
		all.Data[i] = describe(step, object)
	}
	return all
}

func describe(s run.Step, object string) Step {
	o := Step{
		Object:    object,
		Turn:      s.Turn,
		Index:     s.Index,
		Kind:      s.Kind,
		Name:      s.Name,
		State:     string(s.State),
		Attempt:   s.Attempt,
		CreatedAt: s.CreatedAt.UTC().Format(stepTime),
		Error:     jsonOrText(s.Error),
	}
	if s.Kind == run.StepModel {
		o.Output = modelOutput(s.Output)
	} else {
		o.Input, o.Output = printableText(s.Input), printableText(s.Output)
	}
	if s.CallID != "" {
		o.CallID = printableText([]byte(s.CallID))
	}
	if s.FinishedAt != nil {
		at, took := s.FinishedAt.UTC().Format(stepTime), float64(s.Took)/float64(time.Millisecond)
		o.FinishedAt, o.TookMS = &at, &took
	}
	if s.Kind == run.StepModel && s.State == run.StepDone {
		u := responses.Usage{InputTokens: s.InputTokens, OutputTokens: s.OutputTokens}
		o.Usage = &stepUsage{InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, TotalTokens: u.Total()}
	}
	return o
}

// modelOutput returns the items of a model's answer, without what is kept
// beside them for its upstream.
func modelOutput(output []byte) any {
	if output == nil {
		return nil
	}
	record, err := transcript.ReadRecord(output)
	if err != nil { // what it says is still better than nothing
		return printableText(output)
	}
	if record.Items == nil {
		return []item.Item{}
	}
	return record.Items
}

// printableText shows bytes that may be anything. nil stays nil.
func printableText(b []byte) *string {
	if b == nil {
		return nil
	}
	clean := string(bytes.ReplaceAll(bytes.ToValidUTF8(b, []byte("\uFFFD")), []byte{0}, []byte("\uFFFD")))
	return &clean
}

// jsonOrText is JSON as it is, and anything else as a JSON string.
func jsonOrText(b []byte) *json.RawMessage {
	if b == nil {
		return nil
	}
	raw := json.RawMessage(b)
	if !json.Valid(b) {
		quoted, err := json.Marshal(printableText(b))
		if err != nil { // a string always has a JSON form
			quoted = []byte("null")
		}
		raw = quoted
	}
	return &raw
}
