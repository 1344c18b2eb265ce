package chat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// chunk returns a chunk with these members in its delta.
func chunk(members string) string { return `{"choices":[{"index":0,"delta":{` + members + `}}]}` }

// callChunk returns a chunk with these pieces of calls.
func callChunk(pieces ...string) string {
	return chunk(`"tool_calls":[` + strings.Join(pieces, ",") + `]`)
}

func endChunk(reason string) string {
	return `{"choices":[{"delta":{},"finish_reason":"` + reason + `"}]}`
}

// readStream reads a stream of chunks. It checks that the pieces of each call
// that the listener got are the start of the call.
func readStream(tb testing.TB, chunks ...string) (model.Answer, error) {
	tb.Helper()
	sent := map[int]string{}
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
		sent[d.Output] += d.Piece.Text + d.Call.Arguments
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
		if !strings.HasPrefix(whole, sent[n]) {
			tb.Errorf("the deltas of output %d are %q, and it is %q", n, sent[n], whole)
		}
	}
	return a, err
}

// describe returns the calls of an answer, with their ids, and the text of the
// other outputs.
func describe(a model.Answer) []string {
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
		// distinguished
		"by index": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f("") + `}`), callChunk(`{"index":0,` + rest(paris) + `}`),
			callChunk(`{"index":1,"id":"c2",` + f("") + `}`), callChunk(`{"index":1,` + rest(tokyo) + `}`),
		}, two},
		"by index, by turns": {[]string{
			callChunk(`{"index":0,"id":"c1",`+f("")+`}`, `{"index":1,"id":"c2",`+f("")+`}`),
			callChunk(`{"index":1,` + rest(`{\"city\":`) + `}`), callChunk(`{"index":0,` + rest(paris) + `}`), callChunk(`{"index":1,` + rest(`\"Tokyo\"}`) + `}`),
		}, []string{two[0], two[1]}},
		"by id, index 0": {[]string{callChunk(`{"index":0,"id":"c1",` + f(paris) + `}`), callChunk(`{"index":0,"id":"c2",` + f(tokyo) + `}`)}, two},
		"by id, index 0, in pieces": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f("") + `}`), callChunk(`{"index":0,"id":"c1",` + rest(paris) + `}`),
			callChunk(`{"index":0,"id":"c2",` + f("") + `}`), callChunk(`{"index":0,"id":"c2",` + rest(tokyo) + `}`),
		}, two},
		"by id, index 0, in pieces without it": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f("") + `}`), callChunk(`{"index":0,` + rest(paris) + `}`),
			callChunk(`{"index":0,"id":"c2",` + f("") + `}`), callChunk(`{"index":0,` + rest(tokyo) + `}`),
		}, two},
		"by id, index 0, by turns": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), callChunk(`{"index":0,"id":"c2",` + f(``) + `}`),
			callChunk(`{"index":0,"id":"c1",` + rest(`\"Paris\"}`) + `}`), callChunk(`{"index":0,"id":"c2",` + rest(tokyo) + `}`),
		}, two},
		"by id, no index":      {[]string{callChunk(`{"id":"c1",` + f(paris) + `}`), callChunk(`{"id":"c2",` + f(tokyo) + `}`)}, two},
		"by id, in one chunk":  {[]string{callChunk(`{"id":"c1",`+f(paris)+`}`, `{"id":"c2",`+f(tokyo)+`}`)}, two},
		"by name, index 0":     {[]string{callChunk(`{"index":0,` + f(paris) + `}`), callChunk(`{"index":0,` + f(tokyo) + `}`)}, nameless},
		"by name, no index":    {[]string{callChunk(`{` + f(paris) + `}`), callChunk(`{` + f(tokyo) + `}`)}, nameless},
		"by name, one chunk":   {[]string{callChunk(`{`+f(paris)+`}`, `{`+f(tokyo)+`}`)}, nameless},
		"the same, one chunk":  {[]string{callChunk(`{`+f(paris)+`}`, `{`+f(paris)+`}`)}, []string{nameless[0], nameless[0]}},
		"the same id, indexes": {[]string{callChunk(`{"index":0,"id":"c1",` + f(paris) + `}`), callChunk(`{"index":1,"id":"c1",` + f(tokyo) + `}`)}, []string{two[0], `c1 look {"city":"Tokyo"}`}},
		"the same id and index": {
			[]string{callChunk(`{"index":0,"id":"c1",` + f(paris) + `}`), callChunk(`{"index":0,"id":"c1",` + f(tokyo) + `}`)},
			[]string{two[0], `c1 look {"city":"Tokyo"}`},
		},
		"no arguments, other names": {
			[]string{callChunk(`{"index":0,"type":"function","function":{"name":"now","arguments":""}}`), callChunk(`{"index":0,"type":"function","function":{"name":"note","arguments":""}}`)},
			[]string{" now ", " note "},
		},
		"no arguments, no index": {[]string{callChunk(`{"function":{"name":"now"}}`), callChunk(`{"function":{"name":"note"}}`)}, []string{" now ", " note "}},
		"indexes with gaps":      {[]string{callChunk(`{"index":3,"id":"c1",` + f(paris) + `}`), callChunk(`{"index":7,"id":"c2",` + f(tokyo) + `}`)}, two},
		"indexes as texts":       {[]string{callChunk(`{"index":"0","id":"c1",` + f(paris) + `}`), callChunk(`{"index":"1","id":"c2",` + f(tokyo) + `}`)}, two},
		"ids as numbers":         {[]string{callChunk(`{"index":0,"id":1,` + f(paris) + `}`), callChunk(`{"index":0,"id":2,` + f(tokyo) + `}`)}, []string{`1 look {"city":"Paris"}`, `2 look {"city":"Tokyo"}`}},

		// names
		"the name late":            {[]string{callChunk(`{"index":0,"id":"c1","function":{"arguments":""}}`), callChunk(`{"index":0,` + f(paris) + `}`)}, one},
		"the name null, then late": {[]string{callChunk(`{"index":0,"id":"c1","function":{"name":null,"arguments":""}}`), callChunk(`{"index":0,` + f(paris) + `}`)}, one},
		"the name behind the arguments": {
			[]string{callChunk(`{"index":0,"id":"c1","function":{"arguments":"` + paris + `"}}`), callChunk(`{"index":0,"function":{"name":"look"}}`)}, one,
		},
		"the name late, index 0 for all": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f(paris) + `}`), callChunk(`{"index":0,"id":"c2"}`), callChunk(`{"index":0,"id":"c2",` + f(tokyo) + `}`),
		}, two},
		"the name in pieces": {
			[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"lo"}}`), callChunk(`{"index":0,"function":{"name":"ok"}}`), callChunk(`{"index":0,` + rest(paris) + `}`)}, one,
		},
		"the name growing": {
			[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"lo"}}`), callChunk(`{"index":0,"id":"c1","function":{"name":"look"}}`), callChunk(`{"index":0,` + rest(paris) + `}`)}, one,
		},
		"the name of no function": {[]string{callChunk(`{"index":0,"id":"c1","name":"look","arguments":"` + paris + `"}`)}, one},

		// said again
		"id and name with each piece": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), callChunk(`{"index":0,"id":"c1",` + f(`\"Paris\"}`) + `}`), callChunk(`{"index":0,"id":"c1",` + f(``) + `}`),
		}, one},
		"everything with each piece": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f(`{\"ci`) + `}`), callChunk(`{"index":0,"id":"c1",` + f(`{\"city\":\"Pa`) + `}`), callChunk(`{"index":0,"id":"c1",` + f(paris) + `}`),
		}, one},
		"all of it at the end": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), callChunk(`{"index":0,` + rest(`\"Paris\"}`) + `}`), callChunk(`{"index":0,"id":"c1",` + f(paris) + `}`),
		}, one},
		"an id with each piece": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), callChunk(`{"index":0,"id":"x2",` + rest(`\"Pa`) + `}`), callChunk(`{"index":0,"id":"x3",` + rest(`ris\"}`) + `}`),
		}, one},
		"an index with each piece": {[]string{
			callChunk(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), callChunk(`{"index":1,"id":"c1",` + rest(`\"Pa`) + `}`), callChunk(`{"index":2,"id":"c1",` + rest(`ris\"}`) + `}`),
		}, one},
		"an id that comes late": {[]string{callChunk(`{"index":0,` + f(`{\"city\":`) + `}`), callChunk(`{"index":0,"id":"c1",` + rest(`\"Paris\"}`) + `}`)}, one},
		"no index for the rest": {[]string{callChunk(`{"id":"c1",` + f(`{\"city\":`) + `}`), callChunk(`{` + rest(`\"Paris\"}`) + `}`)}, one},

		// arguments
		"an object":          {[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"look","arguments":{"city": "Paris"}}}`)}, one},
		"an object late":     {[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"look","arguments":""}}`), callChunk(`{"index":0,"function":{"arguments":{"city":"Paris"}}}`)}, one},
		"an object for now":  {[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"look","arguments":{}}}`), callChunk(`{"index":0,` + rest(paris) + `}`)}, one},
		"null for now":       {[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"look","arguments":null}}`), callChunk(`{"index":0,` + rest(paris) + `}`)}, one},
		"a list for now":     {[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"look","arguments":[]}}`), callChunk(`{"index":0,` + rest(paris) + `}`)}, one},
		"space before":       {[]string{callChunk(`{"index":0,"id":"c1",` + f(` `) + `}`), callChunk(`{"index":0,` + rest(` `+paris) + `}`)}, one},
		"none":               {[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"now"}}`)}, []string{"c1 now "}},
		"an empty object":    {[]string{callChunk(`{"index":0,"id":"c1","function":{"name":"now","arguments":"{"}}`), callChunk(`{"index":0,` + rest(`}`) + `}`)}, []string{"c1 now {}"}},
		"half":               {[]string{callChunk(`{"index":0,"id":"c1",` + f(`{\"city`) + `}`)}, []string{`c1 look {"city`}},
		"brackets in quotes": {[]string{callChunk(`{"index":0,"id":"c1",` + f(`{\"a\":\"}{\\\"`) + `}`), callChunk(`{"index":0,"id":"x",` + rest(`]\"}`) + `}`)}, []string{`c1 look {"a":"}{\"]"}`}},

		// other forms
		"one call in place of a list": {[]string{chunk(`"tool_calls":{"id":"c1",` + f(paris) + `}`)}, one},
		"a function_call":             {[]string{chunk(`"function_call":{"name":"look","arguments":""}`), chunk(`"function_call":{"arguments":"` + paris + `"}`)}, nameless[:1]},
		"a function_call beside":      {[]string{chunk(`"function_call":{"name":"look","arguments":"` + paris + `"},"tool_calls":[{"index":0,"id":"c1",` + f(paris) + `}]`)}, one},
		"a function_call behind":      {[]string{callChunk(`{"index":0,"id":"c1",` + f(paris) + `}`), chunk(`"function_call":{"name":"look","arguments":"` + paris + `"}`)}, one},
		"a message at the end": {[]string{
			callChunk(`{` + f(paris) + `}`), callChunk(`{` + f(tokyo) + `}`),
			`{"choices":[{"message":{"tool_calls":[{` + f(paris) + `},{` + f(tokyo) + `}]},"finish_reason":"stop"}]}`,
		}, nameless},
		"noise":                 {[]string{chunk(`"tool_calls":null`), chunk(`"tool_calls":[]`), chunk(`"tool_calls":{}`), chunk(`"tool_calls":[null,7,"x"]`), chunk(`"tool_calls":"x"`), callChunk(`{"index":0,"id":"c1",` + f(paris) + `}`), callChunk(`{}`)}, one},
		"a rest without a name": {[]string{callChunk(`{"index":0,"id":"c1",` + f(`{\"city\":`) + `}`), callChunk(`{"index":1,` + rest(`\"Paris\"}`) + `}`)}, one},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := readStream(t, append(tt.chunks, endChunk("tool_calls"))...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, describe(a)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, chunks := range map[string][]string{
		"an id alone":       {callChunk(`{"index":0,"id":"c1"}`)},
		"arguments alone":   {callChunk(`{"index":0,"function":{"arguments":"{}"}}`)},
		"a rest that is no": {callChunk(`{"index":0,"function":{"name":"f","arguments":"{}"}}`), callChunk(`{"index":1,"function":{"arguments":"{}"}}`)},
		"an index too high": {callChunk(`{"index":4096,"function":{"name":"f"}}`)},
	} {
		if _, err := readStream(t, append(chunks, endChunk("stop"))...); !errors.Is(err, model.ErrMalformed) {
			t.Errorf("%s: error %v, want model.ErrMalformed", name, err)
		}
	}
	s := Dialect{}.Stream(func(model.Delta) {})
	for i := range maxCalls + 1 {
		err := s.Event([]byte(callChunk(fmt.Sprintf(`{"id":"c%d","function":{"name":"f","arguments":"{}"}}`, i))))
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
		if diff := cmp.Diff(want, describe(a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", choices, diff)
		}
	}
}

// In a whole answer each element of the list is a call.
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
		if diff := cmp.Diff(tt.want, describe(a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, message := range []string{`{"tool_calls":[{"id":"c"}]}`, `{"tool_calls":[{"function":{"name":7}},{"id":"x"}]}`} {
		if a, err := (Dialect{}).Decode([]byte(`{"choices":[{"message":` + message + `}]}`)); !errors.Is(err, model.ErrMalformed) {
			t.Errorf("%s: %v, error %v, want model.ErrMalformed", message, describe(a), err)
		}
	}
}
