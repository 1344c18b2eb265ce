package responses

import (
	"strconv"
	"time"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
)

// Compaction is the answer of POST /v1/responses/compact: a shorter history
// that replaces the given one.
type Compaction struct {
	ID        string
	CreatedAt time.Time
	Output    []item.Item
	Usage     Usage
}

// JSON returns the object on one line.
func (c Compaction) JSON() []byte {
	w := writer{append([]byte(nil), `{"id":`...)}
	w.b = raw.AppendText(w.b, c.ID)
	w.text("object", "response.compaction")
	w.key("created_at")
	w.b = strconv.AppendInt(w.b, c.CreatedAt.Unix(), 10)
	w.items("output", c.Output)
	w.key("usage")
	w.b = c.Usage.AppendJSON(w.b)
	return append(w.b, '}')
}

// CompactRefusal returns why a decoded body is refused by POST
// /v1/responses/compact although POST /v1/responses serves it; nil if it is
// served. The endpoint takes fewer fields. It ignores those that only say how a
// response is made, because agents send them along, and refuses those that ask
// for another kind of answer.
func (c *Create) CompactRefusal() *fault.Error {
	for _, asked := range []struct {
		field string
		given bool
	}{
		{"stream", c.Stream},
		{"background", c.Background},
		{"conversation", c.Conversation != ""},
		{"generate", !c.Generate},
	} {
		if asked.given {
			return check.Refuse(asked.field, "unsupported_parameter",
				"Unsupported parameter: '"+asked.field+"' is not supported when a history is compacted.").Fault()
		}
	}
	return nil
}
