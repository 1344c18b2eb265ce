package compact

import (
	"slices"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const (
	// bytesPerToken is what a token is taken to have where no model has counted.
	bytesPerToken = 4
	// tokensPerFile is what an image or a file is taken to be, whatever its size: nobody here looks into one.
	tokensPerFile = 1000
)

// Asked tells whether a request asks to be compacted and for nothing else, which it does by the last item of its input.
func Asked(input []item.Item) bool {
	return len(input) > 0 && input[len(input)-1].Type == compaction.Trigger
}

// Due tells whether a history has reached the threshold at which the request wants it compacted. It has not if it was compacted in the
// turn before, or if there is nothing in it but what is unanswered and would stay as it is. The call is as it was before [Open].
func Due(before, opened model.Call, threshold int) bool {
	if threshold == 0 || len(before.Turns) > 0 && before.Turns[len(before.Turns)-1].Compacted() {
		return false
	}
	head, _ := unanswered(before)
	nothing := len(head.Ancestors) == 0 && len(head.Request.Input) == 0 && len(head.Turns) == 0
	return !nothing && Tokens(opened) >= threshold
}

// Tokens is how long the history is that a model would be shown: what the model itself has counted, as far as it was shown and has told,
// and an estimate of what came since.
func Tokens(opened model.Call) int {
	n, known := recent(opened.Turns)
	if known {
		return n
	}
	n += sizeOf(opened.Request.Input)
	for _, a := range slices.Backward(opened.Ancestors) {
		since, known := recent(a.Turns)
		if n += since; known {
			return n
		}
		n += sizeOf(a.Input)
	}
	n += len(opened.Request.Instructions) / bytesPerToken
	for _, t := range opened.Tools {
		n += (len(t.Name) + len(t.Description) + len(t.Parameters)) / bytesPerToken
	}
	return n
}

// recent counts turns from the last one back to one whose usage is known: that has counted all before it, too.
func recent(turns []transcript.Turn) (n int, known bool) {
	for _, t := range slices.Backward(turns) {
		for _, s := range t.Tools { // what they answered came after the count
			n += len(s.Output) / bytesPerToken
		}
		if t.Usage.InputTokens > 0 {
			return n + int(t.Usage.InputTokens+t.Usage.OutputTokens-t.Usage.ReasoningTokens), true
		}
		n += sizeOf(t.Items)
	}
	return n, false
}

func sizeOf(items []item.Item) int {
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
