// Package plan holds the rules of the loop: which tools a model is offered, and what follows from what it said. It calls
// nobody and keeps nothing.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/loop-orchestrator/internal/chat"
)

// ServerLabel is the MCP server label under which the registered tools are offered to requests and appear in answers.
const ServerLabel = "windlass"

// ErrTool says that a request asks for a tool that nobody here can run.
var ErrTool = errors.New("the tool is not available")

// Toolset is what a request's model may call.
type Toolset struct {
	Offers []chat.Offer
	Choice tool.Choice
	server map[string]registry.Tool
	client map[string]bool
}

// Tools resolves a request's tools. Registered tools are offered where the request names their server by
// {"type":"mcp","server_label":"windlass"}, all of them or its allowed_tools; the request's own functions come back to the
// client and win over a registered tool of the same name. Types this upstream cannot carry are not offered. tool_choice's
// allowed_tools bounds both: what is not allowed is not offered, and refused when the model asks for it all the same.
func Tools(r *responses.Create, reg *registry.Registry) (Toolset, error) {
	s := Toolset{Choice: r.ToolChoice, server: map[string]registry.Tool{}, client: map[string]bool{}}
	for _, t := range r.Tools {
		if t.Type == tool.Function && s.allows(t.Type, t.Name) {
			s.client[t.Name] = true
			s.Offers = append(s.Offers, chat.Offer{
				Name: t.Name, Description: t.Description, Parameters: t.Parameters, Strict: t.Strict,
			})
		}
	}
	for i, t := range r.Tools {
		if t.Type != "mcp" {
			continue
		}
		if t.ServerLabel != ServerLabel {
			return s, fmt.Errorf("tools[%d]: MCP server %q: %w; registered tools have the server_label %q",
				i, t.ServerLabel, ErrTool, ServerLabel)
		}
		if err := s.addRegistered(t, reg); err != nil {
			return s, fmt.Errorf("tools[%d]: %w", i, err)
		}
	}
	return s, nil
}

func (s *Toolset) addRegistered(entry tool.Tool, reg *registry.Registry) error {
	names, err := allowedNames(entry.JSON())
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := reg.Tool(name); !ok {
			return fmt.Errorf("allowed_tools: %q: %w", name, ErrTool)
		}
	}
	for _, t := range reg.Tools() {
		named := names == nil || slices.Contains(names, t.Name)
		if _, twice := s.server[t.Name]; !named || twice || s.client[t.Name] || !s.allows("mcp", t.Name) {
			continue
		}
		s.server[t.Name] = t
		s.Offers = append(s.Offers, chat.Offer{Name: t.Name, Description: t.Description, Parameters: t.ParametersJSON()})
	}
	return nil
}

// allows tells whether tool_choice leaves the tool to the model.
func (s *Toolset) allows(kind, name string) bool {
	if pick := s.Choice.Tool; pick != nil && pick.Type == "mcp" && pick.Name == "" {
		return kind == "mcp" // any tool of the server, and nothing else
	}
	if s.Choice.Allowed == nil {
		return true
	}
	return slices.ContainsFunc(s.Choice.Allowed, func(ref tool.Ref) bool {
		return ref.Type == kind && (ref.Name == name || kind == "mcp" && ref.Name == "" && ref.ServerLabel == ServerLabel)
	})
}

// allowedNames reads an mcp tool's allowed_tools: a list of names, or a filter with tool_names. nil means all.
func allowedNames(entry []byte) ([]string, error) {
	var t struct {
		Allowed json.RawMessage `json:"allowed_tools"`
	}
	if err := json.Unmarshal(entry, &t); err != nil {
		return nil, fmt.Errorf("read the tool: %w", err)
	}
	if len(t.Allowed) == 0 || string(t.Allowed) == "null" {
		return nil, nil
	}
	names := []string{}
	if json.Unmarshal(t.Allowed, &names) == nil {
		return names, nil
	}
	var filter struct {
		Names []string `json:"tool_names"`
	}
	if err := json.Unmarshal(t.Allowed, &filter); err != nil {
		return nil, fmt.Errorf("read allowed_tools: %w", err)
	}
	return filter.Names, nil
}
