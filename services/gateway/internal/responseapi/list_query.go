package responseapi

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/conversation"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// lastSecond is the last Unix second that an id can encode.
const lastSecond = 1<<48/1000 - 2

// listedStatuses are a response's statuses as clients know them.
var listedStatuses = map[string][]run.Status{
	"queued":      {run.Queued},
	"in_progress": {run.InProgress},
	"completed":   {run.Completed},
	"incomplete":  {run.Incomplete},
	"failed":      {run.Failed, run.Expired},
	"cancelled":   {run.Cancelled},
}

// readList reads the query of a list. If reversed is true, the query reads the
// entries in the reverse of the client's order, starting at before.
func readList(values url.Values) (q answers.Query, reversed bool, err error) {
	p, err := httpapi.ReadPageQuery(values)
	if err != nil {
		return q, false, err
	}
	reversed = p.Before != "" && p.After == ""
	q = answers.Query{Below: uuid.Max, Limit: p.Limit}
	for _, read := range []func(url.Values, *answers.Query) error{
		readModel, readStatuses, readPairs, readContinued, readTimes,
	} {
		if err := read(values, &q); err != nil {
			return q, false, err
		}
	}
	for _, cursor := range []struct {
		param, id string
		cut       func(answers.Query, uuid.UUID) answers.Query
	}{
		{"after", p.After, either(p.OldestFirst, above, below)},
		{"before", p.Before, either(p.OldestFirst, below, above)},
	} {
		if cursor.id == "" {
			continue
		}
		id, ok := run.ResponseID.Parse(cursor.id)
		if !ok {
			return q, false, fault.Invalid(
				cursor.param, "invalid_value",
				fmt.Sprintf("Item with id '%s' not found.", httpapi.Excerpt(cursor.id)),
			)
		}
		q = cursor.cut(q, id)
	}
	q.NewestFirst = p.OldestFirst == reversed
	return q, reversed, nil
}

func either[T any](which bool, yes, no T) T {
	if which {
		return yes
	}
	return no
}

// readModel refuses only names that Postgres cannot store. Unknown names are
// valid: the model may have been removed from the registry since.
func readModel(values url.Values, q *answers.Query) error {
	q.Model = values.Get("model")
	if !utf8.ValidString(q.Model) || strings.Contains(q.Model, "\x00") {
		return fault.Invalid("model", "invalid_value", "Invalid 'model': it is not the name of a model.")
	}
	return nil
}

func readStatuses(values url.Values, q *answers.Query) error {
	for _, name := range append(values["status"], values["status[]"]...) {
		some, ok := listedStatuses[name]
		if !ok {
			return fault.Invalid(
				"status",
				"invalid_value",
				fmt.Sprintf("Invalid value: '%s'. Supported values are: '%s'.",
					httpapi.Excerpt(name), strings.Join(slices.Sorted(maps.Keys(listedStatuses)), "', '")),
			)
		}
		for _, status := range some {
			if !slices.Contains(q.Statuses, status) {
				q.Statuses = append(q.Statuses, status)
			}
		}
	}
	return nil
}

// readPairs reads metadata[key]=value, as OpenAI's SDKs write an object in a
// query.
func readPairs(values url.Values, q *answers.Query) error {
	pairs := map[string]string{}
	for name, given := range values {
		rest, ok := strings.CutPrefix(name, "metadata")
		if !ok {
			continue
		}
		key, opened := strings.CutPrefix(rest, "[")
		key, closed := strings.CutSuffix(key, "]")
		if !opened || !closed || len(given) > 1 {
			return fault.Invalid(
				"metadata",
				"invalid_type",
				"Invalid type for 'metadata': expected an object with one value for each key, "+
					"written as metadata[key]=value.",
			)
		}
		pairs[key] = given[0]
	}
	body, err := json.Marshal(map[string]any{"metadata": pairs})
	if err != nil {
		return fmt.Errorf("write the metadata of a query: %w", err)
	}
	read, f := conversation.DecodeMetadata(body)
	if f != nil {
		return f
	}
	q.Metadata = read
	return nil
}

// readContinued reads the filters previous_response_id and conversation.
func readContinued(values url.Values, q *answers.Query) error {
	if public := values.Get("previous_response_id"); public != "" {
		id, ok := run.ResponseID.Parse(public)
		if !ok {
			return fault.Invalid("previous_response_id", "invalid_value", fmt.Sprintf(
				"Invalid 'previous_response_id': '%s'. Expected an ID of a response.", httpapi.Excerpt(public)))
		}
		q.Parent = id
	}
	if public := values.Get("conversation"); public != "" {
		id, ok := run.ConversationID.Parse(public)
		if !ok {
			return fault.Invalid("conversation", "invalid_value", fmt.Sprintf(
				"Invalid 'conversation': '%s'. Expected an ID of a conversation.", httpapi.Excerpt(public)))
		}
		q.Conversation = id
	}
	return nil
}

// readTimes reads created_at[gt], [gte], [lt] and [lte], in Unix seconds. Ids
// are in the order of the times that clients see.
func readTimes(values url.Values, q *answers.Query) error {
	for _, bound := range []struct {
		name string
		cut  func(answers.Query, uuid.UUID) answers.Query
		plus int64 // from the second to the first one past the bound
	}{{"gt", above, 1}, {"gte", above, 0}, {"lt", below, 0}, {"lte", below, 1}} {
		name := "created_at[" + bound.name + "]"
		text := values.Get(name)
		if text == "" {
			continue
		}
		second, err := strconv.ParseInt(text, 10, 64)
		switch {
		case err != nil:
			return fault.Invalid(name, "invalid_type", fmt.Sprintf(
				"Invalid type for '%s': expected an integer, but got '%s' instead.", name, httpapi.Excerpt(text)))
		case second < 0:
			return fault.Invalid(name, "integer_below_min_value", fmt.Sprintf(
				"Invalid '%s': integer below minimum value. Expected a value >= 0, but got %d instead.", name, second))
		}
		*q = bound.cut(*q, firstID(min(second, lastSecond)+bound.plus))
	}
	return nil
}

// firstID returns the lowest id that a response created in that second can
// have.
func firstID(second int64) (id uuid.UUID) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(second)*1000)
	copy(id[:6], ms[2:])
	return id
}
