package responses

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
)

// Decode reads the body of POST /v1/responses. The error is a 400 that names
// the first invalid field; nil means success. The result aliases body.
func Decode(body []byte) (*Create, *fault.Error) {
	v, err := check.Parse(body)
	if err != nil {
		return nil, err
	}
	if v.Kind() != raw.Object {
		err := check.WrongType(v, "an object").In("body").Fault()
		err.Param = "" // the body has no path
		return nil, err
	}
	c := &Create{Store: true, Generate: true}
	for key, m := range v.Members() {
		if !m.IsSet() {
			continue
		}
		read, known := fields[string(key)]
		if !known {
			c.keep(string(key), m)
			continue
		}
		if problem := read(c, m); problem != nil {
			return nil, problem.In(string(key)).Fault()
		}
	}
	if problem := c.fault(); problem != nil {
		return nil, problem.Fault()
	}
	return c, nil
}

func (c *Create) keep(key string, v raw.Value) {
	if c.Extra == nil {
		c.Extra = map[string]json.RawMessage{}
	}
	c.Extra[key] = json.RawMessage(v)
}

// fault checks rules that concern more than one field.
func (c *Create) fault() *check.Problem {
	switch {
	case c.Model == "":
		return check.Absent("model")
	case c.Input == nil && c.PreviousResponseID == "" && c.Conversation == "" && c.Extra["prompt"] == nil:
		return check.Refuse("input", "missing_required_parameter",
			`One of "input" or "previous_response_id" or "prompt" or "conversation" must be provided.`)
	case c.Background && !c.Store:
		return check.Refuse("background", "unsupported_parameter",
			"Background responses are not supported when 'store' is false: background=true requires store=true.")
	case c.PreviousResponseID != "" && c.Conversation != "":
		return check.Refuse("previous_response_id", "mutually_exclusive_parameters",
			"Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Only one of them can be provided.")
	}
	if p := c.idFault(); p != nil {
		return p
	}
	return c.pairFault()
}

// idFault checks the ids of items that are looked up by id, in a conversation
// or by a reference: each id occurs once.
func (c *Create) idFault() *check.Problem {
	if c.Conversation != "" {
		if p := item.CheckIDs(c.Input); p != nil {
			return p.In("input")
		}
	}
	var seen map[string]bool // by id: is a reference
	for _, it := range c.Input {
		if it.ID == "" {
			continue
		}
		refers := it.Type == "item_reference"
		if before, twice := seen[it.ID]; twice && (c.Conversation != "" || refers || before) {
			return check.Refuse("input", "", duplicate(it.ID))
		}
		if seen == nil {
			seen = make(map[string]bool, len(c.Input))
		}
		seen[it.ID] = refers
	}
	return nil
}
