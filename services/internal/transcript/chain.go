// Package transcript reads what a run has produced so far: its turns, each with
// the model's items and the results of the tools. The orchestrator builds the
// next model call from it, the finalizer the answer.
//
// It promises that a record and a conversation are read back as they were
// written (TestARecordIsReadAsItWasWritten, TestConversation) and that a Memo
// never serves a deleted request (TestMemoServesTheStoredBytes). It does no
// I/O.
package transcript

import (
	"encoding/json"
	"fmt"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/compaction"
)

// Record is the output of a model step: the turn's items, with call ids unique
// in the request, and its usage.
type Record struct {
	Items []item.Item
	Usage responses.Usage
	// Origin is the upstream that the turn came from
	// (registry.Upstream.Origin); empty in records of older versions.
	Origin string
	// Own is what the upstream attached to the items, by index in Items: see
	// model.Output.Own. Items without anything attached have no entry.
	Own map[int]json.RawMessage
}

type recordJSON struct {
	Items  json.RawMessage         `json:"items"`
	Usage  responses.Usage         `json:"usage"`
	Origin string                  `json:"origin,omitempty"`
	Own    map[int]json.RawMessage `json:"own,omitempty"`
}

// Encode returns the record as it is stored.
func (r Record) Encode() ([]byte, error) {
	items, err := json.Marshal(r.Items)
	if err != nil {
		return nil, fmt.Errorf("encode a turn's items: %w", err)
	}
	b, err := json.Marshal(recordJSON{Items: items, Usage: r.Usage, Origin: r.Origin, Own: r.Own})
	if err != nil {
		return nil, fmt.Errorf("encode a turn: %w", err)
	}
	return b, nil
}

// ReadRecord reads what Encode wrote.
func ReadRecord(b []byte) (Record, error) {
	var in recordJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return Record{}, fmt.Errorf("decode a turn: %w", err)
	}
	r := Record{Usage: in.Usage, Origin: in.Origin, Own: in.Own}
	if string(in.Items) == "null" {
		return r, nil
	}
	items, fault := item.List(in.Items, "items")
	if fault != nil {
		return Record{}, fmt.Errorf("decode a turn's items: %w", fault)
	}
	r.Items = items
	return r, nil
}

// Turn is one turn whose model call is recorded.
type Turn struct {
	Record
	Tools map[string]run.Step // by call id; calls of the client's own tools have none
}

// Compacted reports whether the turn only compacted the history.
func (t Turn) Compacted() bool { return len(t.Items) == 1 && t.Items[0].Type == compaction.Item }

// Turns reads the turns whose model call succeeded, in order.
func Turns(c run.Chain) ([]Turn, error) { return (*Memo)(nil).Turns(c) }

// Ancestor is an earlier response that the request continues, as a model sees
// it, without its instructions: those apply to one response.
type Ancestor struct {
	Input []item.Item
	Turns []Turn
}

// Ancestors reads earlier responses, in the order given.
func Ancestors(chains []run.Chain) ([]Ancestor, error) { return (*Memo)(nil).Ancestors(chains) }

// Usage returns the sum over the turns.
func Usage(turns []Turn) responses.Usage {
	var u responses.Usage
	for _, t := range turns {
		u = u.Add(t.Usage)
	}
	return u
}
