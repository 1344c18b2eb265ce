// Package toolset decides which tools a request's model may call: the gateway
// refuses tools that Windlass cannot run, the orchestrator offers the rest, the
// finalizer shows the calls.
package toolset

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
)

// ServerLabel is the MCP server label under which requests name the registered
// tools and answers show them.
const ServerLabel = "windlass"

// Types of tools that the client runs, besides functions.
const (
	customTool = "custom" // its input is any text
	namespace  = "namespace"
)

// Refusal refuses a tool that Windlass cannot run.
type Refusal struct {
	Param   string // the path of the field that asks for it
	Code    string // may be empty
	Message string // for the client
}

func (r *Refusal) Error() string { return r.Param + ": " + r.Message }

// Offer is a tool as the model sees it.
type Offer struct {
	Name        string
	Description string
	Parameters  json.RawMessage
	Strict      *bool
	// Given is a tool of the client that is not a function, as in the request;
	// of the other fields only Name is set.
	Given json.RawMessage
}

// Toolset holds the tools that a request's model may call.
type Toolset struct {
	Offers []Offer
	Choice tool.Choice
	// Listed are the registered tools of the request, before tool_choice; nil
	// if the request does not name their server.
	Listed []item.Listed
	server map[string]registry.Tool
	client map[called]bool
	custom map[called]bool
	listed map[string]bool
}

// Resolve reads a request's tools; the error is a *Refusal. It offers
// registered tools if the request names their server by
// {"type":"mcp","server_label":"windlass"}, all of them or its allowed_tools.
// The client runs the request's own functions, which win over a registered tool
// of the same name, and its custom tools and namespaces if the model's upstream
// speaks the Responses dialect.
//
// Types that an upstream does not take, or would run itself, are not offered.
// The allowed_tools of tool_choice bound all tools: others are not offered, and
// a call of one is refused. The choice none hides no tool and refuses every
// call.
func Resolve(r *responses.Create, reg *registry.Registry) (Toolset, error) {
	s := Toolset{
		Choice: r.ToolChoice,
		server: map[string]registry.Tool{},
		client: map[called]bool{},
		custom: map[called]bool{},
		listed: map[string]bool{},
	}
	served, _ := reg.Model(r.Model)
	for _, t := range r.Tools {
		if t.Type == tool.Function && s.allows(t.Type, t.Name) {
			s.client[called{name: t.Name}] = true
			s.Offers = append(s.Offers, Offer{
				Name: t.Name, Description: t.Description, Parameters: t.Parameters, Strict: t.Strict,
			})
		}
		if served.Upstream.Dialect == registry.Responses && t.Name != "" && s.allows(t.Type, t.Name) {
			s.addGiven(t)
		}
	}
	for i, t := range r.Tools {
		if t.Type != "mcp" {
			continue
		}
		if s.Listed == nil {
			s.Listed = []item.Listed{}
		}
		if t.ServerLabel != ServerLabel {
			return s, &Refusal{
				fmt.Sprintf("tools[%d].server_label", i),
				"invalid_value",
				fmt.Sprintf(
					"The MCP server %.64q is not available here. Registered tools have the server_label %q.",
					t.ServerLabel, ServerLabel,
				),
			}
		}
		if refusal := s.addRegistered(t, reg, r.Model); refusal != "" {
			return s, &Refusal{fmt.Sprintf("tools[%d].allowed_tools", i), "invalid_value", refusal}
		}
	}
	return s, nil
}

// Client reports whether the client runs a tool. The namespace is empty for a
// tool without one.
func (s Toolset) Client(space, name string) bool {
	return s.client[called{space, name}] && s.Choice.Mode != "none"
}

// Custom reports whether a custom tool was offered.
func (s Toolset) Custom(space, name string) bool {
	return s.custom[called{space, name}] && s.Choice.Mode != "none"
}

// Server returns the registered tool that the model was offered under that
// name.
func (s Toolset) Server(name string) (registry.Tool, bool) {
	t, ok := s.server[name]
	if s.Choice.Mode == "none" {
		return registry.Tool{}, false
	}
	return t, ok
}

// called is a tool as a call names it.
type called struct{ space, name string }

// addGiven offers a custom tool, or a namespace with the client's tools.
func (s *Toolset) addGiven(t tool.Tool) {
	switch t.Type {
	case customTool:
		s.custom[called{name: t.Name}] = true
	case namespace:
		for _, in := range t.Inside() {
			switch in.Type {
			case tool.Function:
				s.client[called{t.Name, in.Name}] = true
			case customTool:
				s.custom[called{t.Name, in.Name}] = true
			}
		}
	default:
		return
	}
	s.Offers = append(s.Offers, Offer{Name: t.Name, Given: t.JSON()})
}

// addRegistered offers the tools of an mcp entry, or returns why it cannot.
func (s *Toolset) addRegistered(entry tool.Tool, reg *registry.Registry, model string) (refusal string) {
	names, ok := allowedNames(entry.JSON())
	if !ok {
		return "It is neither a list of tool names nor a filter with tool_names."
	}
	for _, name := range names {
		if t, ok := reg.Tool(name); !ok {
			return fmt.Sprintf("The tool %.64q is not available here.", name)
		} else if !t.OfferedTo(model) {
			return fmt.Sprintf("The tool %.64q is not offered to the model %.64q.", name, model)
		}
	}
	for _, t := range reg.Tools() {
		if !t.OfferedTo(model) || names != nil && !slices.Contains(names, t.Name) || s.client[called{name: t.Name}] ||
			s.custom[called{name: t.Name}] {
			continue
		}
		s.list(t)
		if _, twice := s.server[t.Name]; twice || !s.allows("mcp", t.Name) {
			continue
		}
		s.server[t.Name] = t
		s.Offers = append(s.Offers, Offer{Name: t.Name, Description: t.Description, Parameters: t.ParametersJSON()})
	}
	return ""
}

func (s *Toolset) list(t registry.Tool) {
	if !s.listed[t.Name] {
		s.listed[t.Name] = true
		s.Listed = append(s.Listed, item.Listed{Name: t.Name, Description: t.Description, Schema: t.ParametersJSON()})
	}
}

// allows reports whether tool_choice allows the tool.
func (s *Toolset) allows(kind, name string) bool {
	if pick := s.Choice.Tool; pick != nil && pick.Type == "mcp" && pick.Name == "" {
		return kind == "mcp" // any tool of the server, and only those
	}
	if s.Choice.Allowed == nil {
		return true
	}
	return slices.ContainsFunc(s.Choice.Allowed, func(ref tool.Ref) bool {
		return ref.Type == kind &&
			(ref.Name == name || kind == "mcp" && ref.Name == "" && ref.ServerLabel == ServerLabel)
	})
}

// allowedNames reads the allowed_tools of an mcp tool: a list of names, or a
// filter with tool_names. nil means all.
func allowedNames(entry []byte) (names []string, ok bool) {
	// A struct would match the field in capitals, too, so that a hidden one
	// could undo a limit.
	var t map[string]json.RawMessage
	if err := json.Unmarshal(entry, &t); err != nil {
		return nil, false
	}
	allowed := t["allowed_tools"]
	if len(allowed) == 0 || string(allowed) == "null" {
		return nil, true
	}
	names = []string{}
	if json.Unmarshal(allowed, &names) == nil {
		return names, true
	}
	var filter struct {
		Names []string `json:"tool_names"`
	}
	if json.Unmarshal(allowed, &filter) != nil || filter.Names == nil {
		return nil, false // another filter (read_only) must not offer more than the client allows
	}
	return filter.Names, true
}
