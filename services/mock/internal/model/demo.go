package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"windlass.dev/windlass/services/mock/internal/jsontext"
	"windlass.dev/windlass/services/mock/internal/tool"
)

const (
	demoGreeting = "Hello! I am the demo model of Windlass: a script that stands in for a real model. " +
		"Ask me for the weather in two cities and I will look both up at once with a tool."
	demoNoTool = "I could tell you about the weather if I were given the tool " + tool.Weather + "."
)

// demoReply returns the answer of the model named demo to inputs without a
// plan, and the round of the run.
func demoReply(req *chatRequest, rounds []round) (int, reply) {
	asked, at := "", -1
	for i := len(req.Messages) - 1; i >= 0 && at < 0; i-- {
		if req.Messages[i].Role == "user" {
			asked, at = req.Messages[i].text(), i
		}
	}
	rounds = after(rounds, at)
	switch {
	case !strings.Contains(strings.ToLower(asked), "weather"):
		return len(rounds), reply{text: demoGreeting, finish: "stop"}
	case len(rounds) > 0:
		return len(rounds), reply{text: forecast(rounds[len(rounds)-1].outputs), finish: "stop"}
	case !offers(req.Tools, tool.Weather):
		return 0, reply{text: demoNoTool, finish: "stop"}
	}
	rep := reply{finish: "tool_calls"}
	for i, city := range cities(asked) {
		arguments := string(jsontext.AppendString([]byte(`{"city":`), city)) + "}"
		rep.calls = append(rep.calls, toolCall{fmt.Sprintf("call_weather_%d", i), tool.Weather, arguments})
	}
	return 0, rep
}

func offers(tools json.RawMessage, name string) bool {
	var offered []struct {
		Name     string `json:"name"` // of the Responses API
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(tools, &offered) != nil {
		return false
	}
	for _, tool := range offered {
		if tool.Function.Name == name || tool.Name == name {
			return true
		}
	}
	return false
}

// cities returns the two cities of the question: what follows "in", joined by
// "and" or commas. Paris and Tokyo are the defaults.
func cities(asked string) []string {
	var found []string
	if _, after, ok := strings.Cut(" "+asked, " in "); ok {
		if end := strings.IndexAny(after, "?!.;:\n"); end >= 0 {
			after = after[:end]
		}
		for part := range strings.SplitSeq(strings.NewReplacer(" and ", ",", " or ", ",").Replace(after), ",") {
			if city := cityName(part); city != "" {
				found = append(found, city)
			}
		}
	}
	for _, usual := range []string{"Paris", "Tokyo"} {
		if len(found) < 2 && !slices.Contains(found, usual) {
			found = append(found, usual)
		}
	}
	return found[:2]
}

// cityName removes the words around a city.
func cityName(part string) string {
	var name []string
	for _, word := range strings.Fields(part) {
		switch strings.ToLower(word) {
		case "in", "and", "the", "both", "today", "tonight", "tomorrow", "now", "right", "like", "please",
			"compare", "them":
			continue
		}
		first, size := utf8.DecodeRuneInString(word)
		if !unicode.IsLetter(first) {
			continue
		}
		name = append(name, string(unicode.ToUpper(first))+word[size:])
	}
	if len(name) > 3 { // a clause, not a name
		return ""
	}
	return strings.Join(name, " ")
}

type report struct {
	City        string `json:"city"`
	Temperature *int   `json:"temperature_c"`
	Sky         string `json:"sky"`
}

// forecast makes a sentence of the reports in the conversation.
func forecast(outputs []message) string {
	var parts []string
	failed := false
	for _, output := range outputs {
		var seen report
		if json.Unmarshal([]byte(output.text()), &seen) != nil || seen.City == "" || seen.Temperature == nil {
			failed = true
			continue
		}
		parts = append(parts, fmt.Sprintf("in %s it is %d °C and %s", seen.City, *seen.Temperature, seen.Sky))
	}
	switch {
	case len(parts) == 0:
		return "I asked for the weather, but no report came back."
	case failed:
		return "Here is the weather: " + strings.Join(parts, ", and ") + ". One report did not come back."
	default:
		return "Here is the weather: " + strings.Join(parts, ", and ") + "."
	}
}
