package compact

import (
	"slices"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const (
	// bytesPerToken estimates a token that no model has counted.
	bytesPerToken = 4
	// tokensPerFile estimates an image or a file of any size.
	tokensPerFile = 1000
)

// IsRequested reports whether a request asks for a compaction and nothing else:
// its last item is a trigger.
func IsRequested(input []item.Item) bool {
	return len(input) > 0 && input[len(input)-1].Type == compaction.Trigger
}

// Due reports whether a history has reached the threshold from which the
// request wants it compacted. sealed is the call before [Open]. A history is
// not due if the turn before compacted it, or if it has nothing except
// unanswered messages, which a compaction would keep.
func Due(sealed, opened model.Call, threshold int) bool {
	if threshold == 0 || len(sealed.Turns) > 0 && sealed.Turns[len(sealed.Turns)-1].Compacted() {
		return false
	}
	head, _ := splitUnanswered(sealed)
	nothing := len(head.Ancestors) == 0 && len(head.Request.Input) == 0 && len(head.Turns) == 0
	return !nothing && Tokens(opened) >= threshold
}

// Tokens is the length of the history that a model would see: the usage of its
// last call, if known, and an estimate of what was added since.
func Tokens(opened model.Call) int {
	n, known := countBack(opened.Turns)
	if known {
		return n
	}
	n += estimate(opened.Request.Input)
	for _, a := range slices.Backward(opened.Ancestors) {
		since, known := countBack(a.Turns)
		if n += since; known {
			return n
		}
		n += estimate(a.Input)
	}
	n += len(opened.Request.Instructions) / bytesPerToken
	for _, t := range opened.Tools {
		n += (len(t.Name) + len(t.Description) + len(t.Parameters)) / bytesPerToken
	}
	return n
}

// countBack counts turns from the last one back to one whose usage is known,
// which covers everything before it.
func countBack(turns []transcript.Turn) (n int, known bool) {
	for _, t := range slices.Backward(turns) {
		for _, s := range t.Tools { // results came after the usage was counted
			n += len(s.Output) / bytesPerToken
		}
		if t.Usage.InputTokens > 0 {
			return n + int(t.Usage.InputTokens+t.Usage.OutputTokens-t.Usage.ReasoningTokens), true
		}
		n += estimate(t.Items)
	}
	return n, false
}

func estimate(items []item.Item) int {
	n := 0
	for _, it := range items {
		text, _ := it.Output()
		n += (len(text) + len(it.Arguments()) + len(it.Name)) / bytesPerToken
		for _, p := range it.Parts() {
			if p.Type == "input_image" || p.Type == "input_file" {
				n += tokensPerFile
			}
			n += len(p.Text) / bytesPerToken
		}
	}
	return n
}
