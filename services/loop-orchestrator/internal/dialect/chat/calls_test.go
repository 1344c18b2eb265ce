package chat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// chunk is a chunk with these members in its delta.
func chunk(members string) string { return `{"choices":[{"index":0,"delta":{` + members + `}}]}` }

// calling is a chunk with these pieces of calls.
func calling(pieces ...string) string {
	return chunk(`"tool_calls":[` + strings.Join(pieces, ",") + `]`)
}

func ending(reason string) string {
	return `{"choices":[{"delta":{},"finish_reason":"` + reason + `"}]}`
}

// hear reads a stream of chunks. What was told of each call has to be the
// beginning of what it came to.
func hear(tb testing.TB, chunks ...string) (model.Answer, error) {
	tb.Helper()
	told := map[int]string{}
	opened := map[int]model.ToolCall{}
	s := Dialect{}.Stream(func(d model.Delta) {
		if d.Output > len(opened) {
			tb.Errorf("output %d is opened behind %d", d.Output, len(opened))
		}
		if _, known := opened[d.Output]; !known {
			opened[d.Output] = d.Call
		}
		if d.Kind == model.Function && d.Call.Name != opened[d.Output].Name || d.Kind == model.Function && d.Call.Name == "" {
			tb.Errorf("output %d is %q, and was %q", d.Output, d.Call.Name, opened[d.Output].Name)
		}
		told[d.Output] += d.Piece.Text + d.Call.Arguments
	})
	for _, c := range chunks {
		if c == "[DONE]" {
			s.Done()
			continue
		}
		if err := s.Event([]byte(c)); err != nil {
			return model.Answer{}, err
		}
	}
	a, err := s.Answer()
	for n, o := range a.Outputs {
		whole := o.Call.Arguments + o.Reasoning.Text
		for _, p := range o.Parts {
			whole += p.Text
		}
		if !strings.HasPrefix(whole, told[n]) {
			tb.Errorf("output %d was told as %q and is %q", n, told[n], whole)
		}
	}
	return a, err
}

// sketch is the calls of an answer, with their ids, and the text of the rest.
func sketch(a model.Answer) []string {
	var all []string
	for _, o := range a.Outputs {
		switch o.Kind {
		case model.Function:
			all = append(all, fmt.Sprintf("%s %s %s", o.Call.ID, o.Call.Name, o.Call.Arguments))
		case model.Reasoning:
			all = append(all, "thought "+o.Reasoning.Text)
		default:
			for _, p := range o.Parts {
				all = append(all, p.Type+" "+p.Text)
			}
		}
	}
	return all
}

const (
	paris = `{\"city\":\"Paris\"}`
	tokyo = `{\"city\":\"Tokyo\"}`
)

func TestCallsOfAStream(t *testing.T) {
	t.Parallel()
	two := []string{`c1 look {"city":"Paris"}`, `c2 look {"city":"Tokyo"}`}
	nameless := []string{` look {"city":"Paris"}`, ` look {"city":"Tokyo"}`}
	one := []string{`c1 look {"city":"Paris"}`}
	f := func(arguments string) string { return `"function":{"name":"look","arguments":"` + arguments + `"}` }
	rest := func(arguments string) string { return `"function":{"arguments":"` + arguments + `"}` }
	for name, tt := range map[string]struct {
		chunks []string
		want   []string
	}{
		// told apart
		"by index": {[]string{
			calling(`{"index":0,"id":"c1",` + f("") + `}`), calling(`{"index":0,` + rest(paris) + `}`),
			calling(`{"index":1,"id":"c2",` + f("") + `}`), calling(`{"index":1,` + rest(tokyo) + `}`),
		}, two},
		"by index, by turns": {[]string{
			calling(`{"index":0,"id":"c1",`+f("")+`}`, `{"index":1,"id":"c2",`+f("")+`}`),
			calling(`{"index":1,` + rest(`{\"city\":`) + `}`), calling(`{"index":0,` + rest(paris) + `}`), calling(`{"index":1,` + rest(`\"Tokyo\"}`) + `}`),
		}, []string{two[0], two[1]}},
		"by id, index 0": {[]string{calling(`{"index":0,"id":"c1",` + f(paris) + `}`), calling(`{"index":0,"id":"c2",` + f(tokyo) + `}`)}, two},
		"by id, index 0, in pieces": {[]string{
			calling(`{"index":0,"id":"c1",` + f("") + `}`), calling(`{"index":0,"id":"c1",` + rest(paris) + `}`),
			calling(`{"index":0,"id":"c2",` + f("") + `}`), calling(`{"index":0,"id":"c2",` + rest(tokyo) + `}`),
		}, two},
		"by id, index 0, in pieces without it": {[]string{
			calling(`{"index":0,"id":"c1",` + f("") + `}`), calling(`{"index":0,` + rest(paris) + `}`),
			calling(`{"index":0,"id":"c2",` + f("") + `}`), calling(`{"index":0,` + rest(tokyo) + `}`),
		}, two},
		"by id, index 0, by turns": {[]string{
			calling(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), calling(`{"index":0,"id":"c2",` + f(``) + `}`),
			calling(`{"index":0,"id":"c1",` + rest(`\"Paris\"}`) + `}`), calling(`{"index":0,"id":"c2",` + rest(tokyo) + `}`),
		}, two},
		"by id, no index":      {[]string{calling(`{"id":"c1",` + f(paris) + `}`), calling(`{"id":"c2",` + f(tokyo) + `}`)}, two},
		"by id, in one chunk":  {[]string{calling(`{"id":"c1",`+f(paris)+`}`, `{"id":"c2",`+f(tokyo)+`}`)}, two},
		"by name, index 0":     {[]string{calling(`{"index":0,` + f(paris) + `}`), calling(`{"index":0,` + f(tokyo) + `}`)}, nameless},
		"by name, no index":    {[]string{calling(`{` + f(paris) + `}`), calling(`{` + f(tokyo) + `}`)}, nameless},
		"by name, one chunk":   {[]string{calling(`{`+f(paris)+`}`, `{`+f(tokyo)+`}`)}, nameless},
		"the same, one chunk":  {[]string{calling(`{`+f(paris)+`}`, `{`+f(paris)+`}`)}, []string{nameless[0], nameless[0]}},
		"the same id, indexes": {[]string{calling(`{"index":0,"id":"c1",` + f(paris) + `}`), calling(`{"index":1,"id":"c1",` + f(tokyo) + `}`)}, []string{two[0], `c1 look {"city":"Tokyo"}`}},
		"the same id and index": {
			[]string{calling(`{"index":0,"id":"c1",` + f(paris) + `}`), calling(`{"index":0,"id":"c1",` + f(tokyo) + `}`)},
			[]string{two[0], `c1 look {"city":"Tokyo"}`},
		},
		"no arguments, other names": {
			[]string{calling(`{"index":0,"type":"function","function":{"name":"now","arguments":""}}`), calling(`{"index":0,"type":"function","function":{"name":"note","arguments":""}}`)},
			[]string{" now ", " note "},
		},
		"no arguments, no index": {[]string{calling(`{"function":{"name":"now"}}`), calling(`{"function":{"name":"note"}}`)}, []string{" now ", " note "}},
		"indexes with gaps":      {[]string{calling(`{"index":3,"id":"c1",` + f(paris) + `}`), calling(`{"index":7,"id":"c2",` + f(tokyo) + `}`)}, two},
		"indexes as texts":       {[]string{calling(`{"index":"0","id":"c1",` + f(paris) + `}`), calling(`{"index":"1","id":"c2",` + f(tokyo) + `}`)}, two},
		"ids as numbers":         {[]string{calling(`{"index":0,"id":1,` + f(paris) + `}`), calling(`{"index":0,"id":2,` + f(tokyo) + `}`)}, []string{`1 look {"city":"Paris"}`, `2 look {"city":"Tokyo"}`}},

		// names
		"the name late":            {[]string{calling(`{"index":0,"id":"c1","function":{"arguments":""}}`), calling(`{"index":0,` + f(paris) + `}`)}, one},
		"the name null, then late": {[]string{calling(`{"index":0,"id":"c1","function":{"name":null,"arguments":""}}`), calling(`{"index":0,` + f(paris) + `}`)}, one},
		"the name behind the arguments": {
			[]string{calling(`{"index":0,"id":"c1","function":{"arguments":"` + paris + `"}}`), calling(`{"index":0,"function":{"name":"look"}}`)}, one,
		},
		"the name late, index 0 for all": {[]string{
			calling(`{"index":0,"id":"c1",` + f(paris) + `}`), calling(`{"index":0,"id":"c2"}`), calling(`{"index":0,"id":"c2",` + f(tokyo) + `}`),
		}, two},
		"the name in pieces": {
			[]string{calling(`{"index":0,"id":"c1","function":{"name":"lo"}}`), calling(`{"index":0,"function":{"name":"ok"}}`), calling(`{"index":0,` + rest(paris) + `}`)}, one,
		},
		"the name growing": {
			[]string{calling(`{"index":0,"id":"c1","function":{"name":"lo"}}`), calling(`{"index":0,"id":"c1","function":{"name":"look"}}`), calling(`{"index":0,` + rest(paris) + `}`)}, one,
		},
		"the name of no function": {[]string{calling(`{"index":0,"id":"c1","name":"look","arguments":"` + paris + `"}`)}, one},

		// said again
		"id and name with each piece": {[]string{
			calling(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), calling(`{"index":0,"id":"c1",` + f(`\"Paris\"}`) + `}`), calling(`{"index":0,"id":"c1",` + f(``) + `}`),
		}, one},
		"everything with each piece": {[]string{
			calling(`{"index":0,"id":"c1",` + f(`{\"ci`) + `}`), calling(`{"index":0,"id":"c1",` + f(`{\"city\":\"Pa`) + `}`), calling(`{"index":0,"id":"c1",` + f(paris) + `}`),
		}, one},
		"all of it at the end": {[]string{
			calling(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), calling(`{"index":0,` + rest(`\"Paris\"}`) + `}`), calling(`{"index":0,"id":"c1",` + f(paris) + `}`),
		}, one},
		"an id with each piece": {[]string{
			calling(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), calling(`{"index":0,"id":"x2",` + rest(`\"Pa`) + `}`), calling(`{"index":0,"id":"x3",` + rest(`ris\"}`) + `}`),
		}, one},
		"an index with each piece": {[]string{
			calling(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), calling(`{"index":1,"id":"c1",` + rest(`\"Pa`) + `}`), calling(`{"index":2,"id":"c1",` + rest(`ris\"}`) + `}`),
		}, one},
		"an id that comes late": {[]string{calling(`{"index":0,` + f(`{\"city\":`) + `}`), calling(`{"index":0,"id":"c1",` + rest(`\"Paris\"}`) + `}`)}, one},
		"no index for the rest": {[]string{calling(`{"id":"c1",` + f(`{\"city\":`) + `}`), calling(`{` + rest(`\"Paris\"}`) + `}`)}, one},

		// arguments
		"an object":          {[]string{calling(`{"index":0,"id":"c1","function":{"name":"look","arguments":{"city": "Paris"}}}`)}, one},
		"an object late":     {[]string{calling(`{"index":0,"id":"c1","function":{"name":"look","arguments":""}}`), calling(`{"index":0,"function":{"arguments":{"city":"Paris"}}}`)}, one},
		"an object for now":  {[]string{calling(`{"index":0,"id":"c1","function":{"name":"look","arguments":{}}}`), calling(`{"index":0,` + rest(paris) + `}`)}, one},
		"null for now":       {[]string{calling(`{"index":0,"id":"c1","function":{"name":"look","arguments":null}}`), calling(`{"index":0,` + rest(paris) + `}`)}, one},
		"a list for now":     {[]string{calling(`{"index":0,"id":"c1","function":{"name":"look","arguments":[]}}`), calling(`{"index":0,` + rest(paris) + `}`)}, one},
		"space before":       {[]string{calling(`{"index":0,"id":"c1",` + f(` `) + `}`), calling(`{"index":0,` + rest(` `+paris) + `}`)}, one},
		"none":               {[]string{calling(`{"index":0,"id":"c1","function":{"name":"now"}}`)}, []string{"c1 now "}},
		"an empty object":    {[]string{calling(`{"index":0,"id":"c1","function":{"name":"now","arguments":"{"}}`), calling(`{"index":0,` + rest(`}`) + `}`)}, []string{"c1 now {}"}},
		"half":               {[]string{calling(`{"index":0,"id":"c1",` + f(`{\"city`) + `}`)}, []string{`c1 look {"city`}},
		"brackets in quotes": {[]string{calling(`{"index":0,"id":"c1",` + f(`{\"a\":\"}{\\\"`) + `}`), calling(`{"index":0,"id":"x",` + rest(`]\"}`) + `}`)}, []string{`c1 look {"a":"}{\"]"}`}},

		// other forms
		"one call in place of a list": {[]string{chunk(`"tool_calls":{"id":"c1",` + f(paris) + `}`)}, one},
		"a function_call":             {[]string{chunk(`"function_call":{"name":"look","arguments":""}`), chunk(`"function_call":{"arguments":"` + paris + `"}`)}, nameless[:1]},
		"a function_call beside":      {[]string{chunk(`"function_call":{"name":"look","arguments":"` + paris + `"},"tool_calls":[{"index":0,"id":"c1",` + f(paris) + `}]`)}, one},
		"a function_call behind":      {[]string{calling(`{"index":0,"id":"c1",` + f(paris) + `}`), chunk(`"function_call":{"name":"look","arguments":"` + paris + `"}`)}, one},
		"a message at the end": {[]string{
			calling(`{` + f(paris) + `}`), calling(`{` + f(tokyo) + `}`),
			`{"choices":[{"message":{"tool_calls":[{` + f(paris) + `},{` + f(tokyo) + `}]},"finish_reason":"stop"}]}`,
		}, nameless},
		"noise":                 {[]string{chunk(`"tool_calls":null`), chunk(`"tool_calls":[]`), chunk(`"tool_calls":{}`), chunk(`"tool_calls":[null,7,"x"]`), chunk(`"tool_calls":"x"`), calling(`{"index":0,"id":"c1",` + f(paris) + `}`), calling(`{}`)}, one},
		"a rest without a name": {[]string{calling(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), calling(`{"index":1,` + rest(`\"Paris\"}`) + `}`)}, one},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := hear(t, append(tt.chunks, ending("tool_calls"))...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, sketch(a)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, chunks := range map[string][]string{
		"an id alone":       {calling(`{"index":0,"id":"c1"}`)},
		"arguments alone":   {calling(`{"index":0,"function":{"arguments":"{}"}}`)},
		"a rest that is no": {calling(`{"index":0,"function":{"name":"f","arguments":"{}"}}`), calling(`{"index":1,"function":{"arguments":"{}"}}`)},
		"an index too high": {calling(`{"index":4096,"function":{"name":"f"}}`)},
	} {
		if _, err := hear(t, append(chunks, ending("stop"))...); !errors.Is(err, model.ErrMalformed) {
			t.Errorf("%s: error %v, want model.ErrMalformed", name, err)
		}
	}
	s := Dialect{}.Stream(func(model.Delta) {})
	for i := range maxCalls + 1 {
		err := s.Event([]byte(calling(fmt.Sprintf(`{"id":"c%d","function":{"name":"f","arguments":"{}"}}`, i))))
		if (err != nil) != (i == maxCalls) {
			t.Fatalf("call %d: error %v", i, err)
		}
	}
}

// Some servers put the text and the calls of one answer into two choices.
func TestCallsOfAnotherChoice(t *testing.T) {
	t.Parallel()
	const calls = `{"message":{"role":"assistant","tool_calls":[{"id":"c1","function":{"name":"look","arguments":"{}"}}]},"finish_reason":"tool_calls"}`
	for choices, want := range map[string][]string{
		`{"message":{"content":"a"},"finish_reason":"tool_calls"},` + calls: {"output_text a", "c1 look {}"},
		calls + `,` + calls: {"c1 look {}"},
		`{"message":{"content":"a"}},{"message":{"content":"b"}},{},7,null`:       {"output_text a"},
		`{"message":{"content":"a"}},{"message":{"content":"b"}},{},7,` + calls:   {"output_text a", "c1 look {}"},
		`{"message":{"content":"a"},"finish_reason":"stop"},{"message":{"x":[]}}`: {"output_text a"},
	} {
		a, err := Dialect{}.Decode([]byte(`{"choices":[` + choices + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, sketch(a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", choices, diff)
		}
	}
}

// In a whole answer each call of the list is one.
func TestCallsOfAnAnswer(t *testing.T) {
	t.Parallel()
	f := func(more, arguments string) string {
		return `{` + more + `"type":"function","function":{"name":"look","arguments":` + arguments + `}}`
	}
	for name, tt := range map[string]struct {
		message string
		want    []string
	}{
		"equal ones":               {`"tool_calls":[` + f("", `"{}"`) + `,` + f("", `"{}"`) + `]`, []string{" look {}", " look {}"}},
		"equal ids":                {`"tool_calls":[` + f(`"id":"c",`, `"{}"`) + `,` + f(`"id":"c",`, `"{}"`) + `]`, []string{"c look {}", "c look {}"}},
		"index 0":                  {`"tool_calls":[` + f(`"index":0,`, `"{\"a\""`) + `,` + f(`"index":0,`, `"{}"`) + `]`, []string{` look {"a"`, " look {}"}},
		"an object":                {`"tool_calls":[` + f("", `{"a": [1, {}]}`) + `]`, []string{` look {"a":[1,{}]}`}},
		"an array":                 {`"tool_calls":[` + f("", `[1]`) + `]`, []string{` look [1]`}},
		"a number":                 {`"tool_calls":[` + f("", `7`) + `]`, []string{` look 7`}},
		"null":                     {`"tool_calls":[` + f("", `null`) + `]`, []string{` look `}},
		"one in place of a list":   {`"tool_calls":` + f("", `"{}"`), []string{" look {}"}},
		"an empty array":           {`"tool_calls":[` + f("", `[]`) + `]`, []string{` look []`}},
		"a function_call":          {`"function_call":{"name":"look","arguments":"{}"}`, []string{" look {}"}},
		"a function_call beside":   {`"function_call":{"name":"look","arguments":"{}"},"tool_calls":[` + f("", `"{}"`) + `]`, []string{" look {}"}},
		"a function_call of null":  {`"content":"a","function_call":null,"tool_calls":null`, []string{"output_text a"}},
		"calls of another type":    {`"content":"a","tool_calls":"none"`, []string{"output_text a"}},
		"text beside, and thought": {`"content":"a","reasoning":"r","tool_calls":[` + f("", `""`) + `]`, []string{"thought r", "output_text a", " look "}},
	} {
		a, err := Dialect{}.Decode([]byte(`{"choices":[{"message":{` + tt.message + `},"finish_reason":"tool_calls"}]}`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, sketch(a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, message := range []string{`{"tool_calls":[{"id":"c"}]}`, `{"tool_calls":[{"function":{"name":7}},{"id":"x"}]}`} {
		if a, err := (Dialect{}).Decode([]byte(`{"choices":[{"message":` + message + `}]}`)); !errors.Is(err, model.ErrMalformed) {
			t.Errorf("%s: %v, error %v, want model.ErrMalformed", message, sketch(a), err)
		}
	}
}
