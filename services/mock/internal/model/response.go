package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"windlass.dev/windlass/services/mock/internal/jsontext"
	"windlass.dev/windlass/services/mock/internal/script"
)

// Respond is POST /v1/responses. It stores nothing, so that it refuses items
// that are named by an id. Like OpenAI's API it demands its sealed reasoning
// before the items that followed it.
func (s Server) Respond(w http.ResponseWriter, r *http.Request) { s.answer(w, r, readResponse) }

type responseRequest struct {
	Model     string          `json:"model"`
	Stream    bool            `json:"stream"`
	Input     json.RawMessage `json:"input"`
	Tools     json.RawMessage `json:"tools"`
	Include   []string        `json:"include"`
	Store     *bool           `json:"store"`
	Reasoning struct {
		Summary string `json:"summary"`
	} `json:"reasoning"`
}

type inputItem struct {
	Type      string          `json:"type"`
	ID        string          `json:"id"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	CallID    string          `json:"call_id"`
	Output    json.RawMessage `json:"output"`
	Encrypted string          `json:"encrypted_content"`
}

// isOpen reports whether an item is reasoning in plain text.
func (it inputItem) isOpen() bool {
	var content []struct{ Text string }
	return it.Type == "reasoning" && it.Encrypted == "" &&
		json.Unmarshal(it.Content, &content) == nil && len(content) > 0 && content[0].Text != ""
}

func readResponse(body []byte) turn {
	t := turn{requestBytes: len(body)}
	var req responseRequest
	if err := json.Unmarshal(body, &req); err != nil {
		t.refusal = fmt.Sprintf("We could not parse the JSON body of your request: %v.", err)
		return t
	}
	if req.Store == nil || *req.Store {
		t.refusal, t.param = "The mock model keeps no responses: 'store' has to be false.", "store"
		return t
	}
	messages, refusal := req.messages()
	if refusal != "" {
		t.refusal, t.param = refusal, "input"
		return t
	}
	chat := &chatRequest{Model: req.Model, Stream: req.Stream, Messages: messages, Tools: req.Tools}
	t.read(chat, "input", len(jsontext.TopLevel(body, "input")))
	f := responseForm{
		id:      strconv.FormatInt(t.plan.Seed, 10) + "_" + strconv.Itoa(t.round),
		summary: req.Reasoning.Summary != "", tools: kindsOf(req.Tools),
	}
	if slices.Contains(req.Include, "reasoning.encrypted_content") {
		f.sealed = seal(t.plan.Seed, t.round)
	}
	t.form = f
	if t.refusal != "" {
		return t
	}
	if t.plan.Stamp {
		t.refusal, t.param = "A response repeats its text at its end: the plan cannot have it stamped.", "input"
	} else if t.refusal = findMissing(t.plan, messages, f.sealed != ""); t.refusal != "" {
		t.param = "input"
	}
	return t
}

// kind is what a tool's calls have besides the name.
type kind struct {
	custom bool
	space  string // the tool's namespace
}

// kindsOf returns the tools that are no plain functions, by name.
func kindsOf(tools json.RawMessage) map[string]kind {
	type named struct{ Type, Name string }
	var offered []struct {
		named
		Tools []named
	}
	_ = json.Unmarshal(tools, &offered) // invalid tools have no names
	all := map[string]kind{}
	for _, t := range offered {
		if t.Type == "custom" {
			all[t.Name] = kind{custom: true}
		}
		for _, in := range t.Tools {
			all[in.Name] = kind{in.Type == "custom", t.Name}
		}
	}
	return all
}

// messages converts the input to the messages of a chat: calls become part of
// the message before them.
func (req *responseRequest) messages() (all []message, refusal string) {
	if text := ""; json.Unmarshal(req.Input, &text) == nil {
		return []message{{Role: "user", Content: req.Input}}, ""
	}
	var items []inputItem
	if err := json.Unmarshal(req.Input, &items); err != nil {
		return nil, "Invalid type for 'input': expected one of a string or array of input items."
	}
	thoughts := ""
	for i, it := range items {
		if it.ID != "" && !it.isOpen() {
			return nil, fmt.Sprintf(
				"Item with id '%s' not found. Items are not persisted when `store` is set to false.", it.ID)
		}
		if thoughts != "" && !it.mayFollowReasoning() {
			return nil, fmt.Sprintf(
				"Item %d of type 'reasoning' was provided without its required following item.", i-1)
		}
		switch it.Type {
		case "message", "":
			all = append(all, message{Role: it.Role, Content: it.Content, thoughts: thoughts})
			thoughts = ""
		case "reasoning":
			if it.isOpen() { // from servers that do not seal reasoning
				thoughts = "open"
				continue
			}
			if !isSealed(it.Encrypted) {
				return nil, "The encrypted content could not be verified."
			}
			thoughts = it.Encrypted
		case "function_call", "custom_tool_call":
			all = addCall(all, it.CallID, thoughts)
			thoughts = ""
		case "function_call_output", "custom_tool_call_output":
			all = append(all, message{Role: "tool", ToolCallID: it.CallID, Content: it.Output})
		default:
			return nil, fmt.Sprintf("Invalid value: '%s'. The mock model knows no such item.", it.Type)
		}
	}
	if thoughts != "" {
		return nil, "Item of type 'reasoning' was provided without its required following item."
	}
	return all, ""
}

// mayFollowReasoning reports whether the item is the model's output.
func (it inputItem) mayFollowReasoning() bool {
	return it.Type == "function_call" || it.Type == "custom_tool_call" || it.Role == "assistant"
}

// addCall adds a call to the last message if that is the model's, or to a new
// one.
func addCall(all []message, id, thoughts string) []message {
	if n := len(all); n == 0 || all[n-1].Role != "assistant" {
		all = append(all, message{Role: "assistant", thoughts: thoughts})
	}
	last := &all[len(all)-1]
	last.ToolCalls = append(last.ToolCalls, calledFor{ID: id})
	return all
}

// findMissing returns an error text if a round of the plan lacks the reasoning
// that came with it.
func findMissing(p script.Plan, messages []message, sealed bool) string {
	rounds, _ := pair(messages)
	_, at := findPlan(messages)
	if p.Reasoning == "" || !sealed || at < 0 {
		return ""
	}
	for n, r := range after(rounds, at) {
		if messages[r.at].thoughts != seal(p.Seed, n) {
			return fmt.Sprintf(
				"The 'function_call' items of round %d were provided without their required 'reasoning' item.", n)
		}
	}
	return ""
}

const seals = "gAAAA-mock-"

// seal returns a text in place of encrypted reasoning.
func seal(seed int64, round int) string { return fmt.Sprintf("%s%d-%d", seals, seed, round) }

func isSealed(text string) bool { return len(text) > len(seals) && text[:len(seals)] == seals }
