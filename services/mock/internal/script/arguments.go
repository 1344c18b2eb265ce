package script

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"windlass.dev/windlass/services/mock/internal/fault"
	"windlass.dev/windlass/services/mock/internal/jsontext"
)

// Arguments returns the arguments of the call at one place.
func (p Plan) Arguments(round, index int) string {
	switch {
	case p.EmptyArguments:
		return ""
	case p.RawArguments != "":
		return p.RawArguments
	case p.Child != nil:
		return string(jsontext.AppendString([]byte(`{"input":`), p.child(round, index).Prompt())) + "}"
	}
	b := strconv.AppendInt(append(make([]byte, 0, 96), `{"seed":`...), p.Seed, 10)
	b = strconv.AppendInt(append(b, `,"round":`...), int64(round), 10)
	b = strconv.AppendInt(append(b, `,"index":`...), int64(index), 10)
	b = strconv.AppendInt(append(b, `,"ms":`...), int64(p.toolTime(round, index)), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), int64(p.ToolBytes), 10)
	var faults []fault.Fault
	for _, f := range p.ToolFaults {
		if f.Covers(round, index) {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		raw, err := json.Marshal(faults)
		if err != nil {
			panic(fmt.Sprintf("mock: faults of plan %d do not encode: %v", p.Seed, err))
		}
		b = append(append(b, `,"faults":`...), raw...)
	}
	return string(append(b, '}'))
}

// Usage is the usage of a reply.
type Usage struct{ PromptTokens, CompletionTokens int }

// CountTokens counts the words of a text: the mock's tokens.
func CountTokens(text string) int {
	n := 0
	for range strings.FieldsSeq(text) {
		n++
	}
	return n
}
