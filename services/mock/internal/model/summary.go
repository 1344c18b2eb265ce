package model

import (
	"fmt"
	"strings"

	"windlass.dev/windlass/services/mock/internal/script"
)

// summaryMark is part of the message by which Windlass requests a summary of a
// history.
const summaryMark = "Answer with the summary alone"

// asksSummary reports whether the last message requests a summary.
func asksSummary(messages []message) bool {
	if len(messages) == 0 {
		return false
	}
	last := messages[len(messages)-1]
	return last.Role == "user" && strings.Contains(last.text(), summaryMark)
}

// summarize returns a summary: the plan's text, or the number of messages.
func summarize(p script.Plan, messages []message) reply {
	if p.Text != "" {
		return reply{text: p.Text, finish: "stop"}
	}
	return reply{text: fmt.Sprintf("Summary of %d messages.", len(messages)-1), finish: "stop"}
}

// demoSummary repeats the user's messages.
func demoSummary(messages []message) reply {
	var said []string
	for _, m := range messages[:len(messages)-1] {
		if text := m.text(); m.Role == "user" && !strings.Contains(text, "<conversation_summary>") {
			said = append(said, fmt.Sprintf("%.200q", text))
		}
	}
	rep := summarize(script.Plan{}, messages)
	if len(said) > 0 {
		rep.text += " The user said: " + strings.Join(said, ", then ") + "."
	}
	return rep
}
