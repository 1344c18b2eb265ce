package transcript

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
)

// run10 is a run of 10 turns of a tool call each, as it is loaded for the turn
// that follows so many.
func run10(tb testing.TB, turns int) run.Chain {
	tb.Helper()
	text := strings.Repeat("What the user wants to know. ", 20)
	c := run.Chain{Body: fmt.Appendf(nil,
		`{"model":"m","instructions":%q,"input":[{"role":"user","content":%[1]q},{"role":"user","content":%[1]q}],"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}`, text)}
	c.ID, c.Turn = uuid.UUID{1}, turns+1
	for n := range turns {
		call := item.Call{
			ID: fmt.Sprint("fc_", n), CallID: fmt.Sprint("call_", n), Name: "f", Status: "completed", Arguments: `{"text":"` + text + `"}`,
		}
		c.Steps = append(c.Steps, model(tb, n+1, Record{Items: []item.Item{
			item.Reasoning{ID: fmt.Sprint("rs_", n), Text: text}.Item(), call.Function(),
		}}), run.Step{Turn: n + 1, Index: 1, Kind: "tool", CallID: call.CallID, State: run.StepDone, Output: []byte(text)})
	}
	return c
}

func TestMemoServesTheStoredBytes(t *testing.T) {
	t.Parallel()
	m, c := NewMemo(1<<20), run10(t, 3)
	first, fault := m.Request(c)
	if fault != nil {
		t.Fatal(fault)
	}
	if again, _ := m.Request(c); again == first {
		t.Error("a request is kept that was not given to KeepRequest")
	}
	m.KeepRequest(c, first)
	if again, _ := m.Request(c); again != first {
		t.Error("a kept request was decoded again")
	}
	if _, err := m.Turns(c); err != nil {
		t.Fatal(err)
	}
	changed := c
	changed.Body = []byte(`{"model":"m","input":"other"}`)
	if got, fault := m.Request(changed); fault != nil || got == first || len(got.Input) != 1 {
		t.Errorf("Request of other bytes = %+v, %v", got, fault)
	}
	changed.Body = nil // erased
	if got, fault := m.Request(changed); fault == nil {
		t.Errorf("Request of an erased body = %+v, want a fault", got)
	}
	changed.Steps = []run.Step{model(t, 1, Record{Items: []item.Item{item.UserText("other")}})}
	if got, err := m.Turns(changed); err != nil || len(got) != 1 || got[0].Items[0].Type != "message" {
		t.Errorf("Turns of another record = %+v, %v", got, err)
	}
	changed.Steps[0].Output = nil
	if got, err := m.Turns(changed); err == nil {
		t.Errorf("Turns of an erased record = %+v, want an error", got)
	}
}

func TestMemoIsBounded(t *testing.T) {
	t.Parallel()
	const most = 1 << 16
	m := NewMemo(most)
	for n := range 100 {
		c := run10(t, 2)
		c.ID = uuid.UUID{byte(n), 1}
		if _, err := m.Ancestors([]run.Chain{c}); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for _, e := range m.entries.Values() {
		total += len(e.stored)
	}
	if total != m.size || total > most || total < most/2 {
		t.Errorf("%d bytes are kept and %d counted, want the same, at most %d and not far below", total, m.size, most)
	}
	large := run10(t, 0)
	large.Body = fmt.Appendf(nil, `{"model":"m","input":%q}`, strings.Repeat("x", most/memoShare))
	request, fault := m.Request(large)
	if fault != nil {
		t.Fatal(fault)
	}
	m.KeepRequest(large, request)
	if again, _ := m.Request(large); again == request {
		t.Error("a request is kept that would push out many others")
	}
}

func TestANilMemoKeepsNothing(t *testing.T) {
	t.Parallel()
	var m *Memo
	c := run10(t, 2)
	request, fault := m.Request(c)
	if fault != nil {
		t.Fatal(fault)
	}
	m.KeepRequest(c, request)
	if turns, err := m.Turns(c); err != nil || len(turns) != 2 {
		t.Errorf("Turns = %+v, %v", turns, err)
	}
}

// BenchmarkTenTurns decodes what the ten turns of a run are loaded with.
func BenchmarkTenTurns(b *testing.B) {
	var loaded []run.Chain
	for n := range 10 {
		loaded = append(loaded, run10(b, n))
	}
	for name, fresh := range map[string]func() *Memo{
		"decoded": func() *Memo { return nil }, "kept": func() *Memo { return NewMemo(1 << 20) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := fresh()
				for _, c := range loaded {
					request, fault := m.Request(c)
					if fault != nil {
						b.Fatal(fault)
					}
					if _, err := m.Turns(c); err != nil {
						b.Fatal(err)
					}
					m.KeepRequest(c, request)
				}
			}
		})
	}
}

// BenchmarkTenAncestors decodes the ten responses that a run continues, all of
// which an earlier run of the process has read.
func BenchmarkTenAncestors(b *testing.B) {
	var line []run.Chain
	for n := range 10 {
		c := run10(b, 1)
		c.ID = uuid.UUID{byte(n), 1}
		line = append(line, c)
	}
	for name, m := range map[string]*Memo{"decoded": nil, "kept": NewMemo(1 << 20)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Ancestors(line); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
