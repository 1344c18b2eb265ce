package mock_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newDemo(t testing.TB, url, asked string, tools ...string) func(...object) completion {
	l := newLoop(t, url, asked)
	return func(more ...object) completion {
		t.Helper()
		l.messages = append(l.messages, more...)
		offered := []object{}
		for _, name := range tools {
			offered = append(offered, object{"type": "function", "function": object{"name": name, "parameters": object{}}})
		}
		status, body, err := l.read("/v1/chat/completions", object{"model": "demo", "messages": l.messages, "tools": offered})
		if err != nil || status != http.StatusOK {
			t.Fatalf("demo answered %d %s, error %v", status, body, err)
		}
		var c completion
		if err := json.Unmarshal([]byte(body), &c); err != nil {
			t.Fatalf("read completion %s: %v", body, err)
		}
		return c
	}
}

func TestDemoLooksUpTwoCities(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	for asked, want := range map[string][]string{
		"What's the weather in Oslo and Rome?":                                     {"Oslo", "Rome"},
		"Compare the weather in new york and São Paulo today.":                     {"New York", "São Paulo"},
		"weather in Paris and in Tokyo, please":                                    {"Paris", "Tokyo"},
		"How is the weather in Tokyo?":                                             {"Tokyo", "Paris"},
		"Will the WEATHER be nice?":                                                {"Paris", "Tokyo"},
		"Tell me in which of all these cities of the world the weather is nicest.": {"Paris", "Tokyo"},
	} {
		ask := newDemo(t, url, asked, "search", "get_weather")
		first := ask().Choices[0]
		var got []string
		messages := []object{{"role": "assistant", "tool_calls": first.Message.ToolCalls}}
		for _, c := range first.Message.ToolCalls {
			var arguments struct{ City string }
			if err := json.Unmarshal([]byte(c.Function.Arguments), &arguments); err != nil || c.Function.Name != "get_weather" {
				t.Fatalf("%q: call is %+v, error %v", asked, c, err)
			}
			got = append(got, arguments.City)
			status, report, err := newLoop(t, url, "").read("/tools/get_weather", c.Function.Arguments)
			if err != nil || status != http.StatusOK || !strings.Contains(report, `"temperature_c":`) {
				t.Fatalf("%q: tool answered %d %s, error %v", asked, status, report, err)
			}
			messages = append(messages, object{"role": "tool", "tool_call_id": c.ID, "content": report})
		}
		if diff := cmp.Diff(want, got); diff != "" || first.FinishReason != "tool_calls" {
			t.Errorf("%q: finished by %s, cities (-want +got):\n%s", asked, first.FinishReason, diff)
			continue
		}
		text := ask(messages...).Choices[0].Message.Content
		for _, city := range want {
			if !strings.Contains(text, "in "+city+" it is ") {
				t.Errorf("%q: answer %q does not tell of %s", asked, text, city)
			}
		}
		again := ask(object{"role": "assistant", "content": text}, object{"role": "user", "content": "Thanks!"})
		if text := again.Choices[0].Message.Content; !strings.Contains(text, "demo model") {
			t.Errorf("%q: thanks were answered with %q", asked, text)
		}
	}
}

func TestDemoWithoutToolOrReport(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	if text := newDemo(t, url, "Hello")().Choices[0].Message.Content; !strings.Contains(text, "demo model of Windlass") {
		t.Errorf("greeting is %q", text)
	}
	if text := newDemo(t, url, "weather?", "search")().Choices[0].Message.Content; !strings.Contains(text, "get_weather") {
		t.Errorf("without the tool the demo says %q", text)
	}
	ask := newDemo(t, url, "weather in Oslo and Rome", "get_weather")
	calls := ask().Choices[0].Message.ToolCalls
	text := ask(object{"role": "assistant", "tool_calls": calls},
		object{"role": "tool", "tool_call_id": calls[0].ID, "content": "timed out"},
		object{"role": "tool", "tool_call_id": calls[1].ID, "content": `{"city":"Rome","temperature_c":20,"sky":"sunny"}`},
	).Choices[0].Message.Content
	if want := "Here is the weather: in Rome it is 20 °C and sunny. One report did not come back."; text != want {
		t.Errorf("demo says %q, want %q", text, want)
	}
}

func TestWeatherToolRefusesBadArguments(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	for _, body := range []string{"", "{", "[]", "{}", `{"city":5}`, `{"city":""}`} {
		if status, answer, err := newLoop(t, url, "").read("/tools/get_weather", body); err != nil || status != http.StatusBadRequest {
			t.Errorf("arguments %q: got %d %s, error %v, want 400", body, status, answer, err)
		}
	}
}
