package mock

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// ToolSchema is the JSON schema of the arguments of every echoing tool.
const ToolSchema = `{
  "type": "object",
  "properties": {
    "seed": {"type": "integer", "description": "The run the call belongs to."},
    "round": {"type": "integer", "minimum": 0, "description": "The model round that asked for it."},
    "index": {"type": "integer", "minimum": 0, "description": "The call's place in the round."},
    "ms": {"type": "integer", "minimum": 0, "description": "Milliseconds to take."},
    "bytes": {"type": "integer", "minimum": 0, "description": "Least size of the result."},
    "faults": {"type": "array", "items": {"type": "object"}, "description": "What goes wrong at this call."}
  },
  "required": ["seed", "round", "index"],
  "additionalProperties": false
}`

// toolArguments is what the model asks a tool to do; the tool knows no plan.
type toolArguments struct {
	Seed   int64   `json:"seed"`
	Round  int     `json:"round"`
	Index  int     `json:"index"`
	MS     int     `json:"ms"`
	Bytes  int     `json:"bytes"`
	Faults []Fault `json:"faults"`

	city string // get_weather's only argument
}

// arguments is the text the model gives to the call at one place.
func (p Plan) arguments(round, index int) string {
	switch {
	case p.EmptyArguments:
		return ""
	case p.RawArguments != "":
		return p.RawArguments
	case p.Child != nil:
		return string(appendString([]byte(`{"input":`), p.child(round, index).Prompt())) + "}"
	}
	b := strconv.AppendInt(append(make([]byte, 0, 96), `{"seed":`...), p.Seed, 10)
	b = strconv.AppendInt(append(b, `,"round":`...), int64(round), 10)
	b = strconv.AppendInt(append(b, `,"index":`...), int64(index), 10)
	b = strconv.AppendInt(append(b, `,"ms":`...), int64(p.toolTime(round, index)), 10)
	b = strconv.AppendInt(append(b, `,"bytes":`...), int64(p.ToolBytes), 10)
	var faults []Fault
	for _, f := range p.ToolFaults {
		if f.covers(round, index) {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		raw, err := json.Marshal(faults)
		if err != nil {
			panic(fmt.Sprintf("mock: faults of plan %d do not encode: %v", p.Seed, err))
		}
		b = append(append(b, `,"faults":`...), raw...)
	}
	return string(append(b, '}'))
}

func (s *Server) tool(w http.ResponseWriter, r *http.Request) {
	var (
		started = time.Now()
		name    = r.PathValue("name")
		size    int
		args    toolArguments
		bad     error
	)
	if err := withBody(w, r, func(body []byte) {
		size = len(body)
		args, bad = readArguments(name, body)
	}); err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	x := s.begin(w, r, Entry{
		Kind: "tool", Tool: name, Seed: args.Seed, Round: args.Round, Index: args.Index,
		Started: started, RequestBytes: size,
	})
	defer x.end()
	if bad != nil {
		x.refuse(bad.Error(), "")
		return
	}
	if name == weatherTool {
		x.send(http.StatusOK, jsonType, weather(args.city))
		return
	}
	if x.wait(time.Duration(args.MS) * time.Millisecond) {
		x.echo(args)
	}
}

func readArguments(tool string, body []byte) (toolArguments, error) {
	if tool == weatherTool {
		city, err := readCity(body)
		return toolArguments{city: city}, err
	}
	args := toolArguments{Round: -1, Index: -1}
	if err := json.Unmarshal(body, &args); err != nil {
		return toolArguments{}, fmt.Errorf("arguments of %s are not as its schema says: %w", tool, err)
	}
	if args.Round < 0 || args.Index < 0 || args.MS < 0 || args.MS > maxMillis || args.Bytes < 0 {
		return toolArguments{}, fmt.Errorf("arguments of %s are not as its schema says", tool)
	}
	for _, f := range args.Faults {
		if err := f.check(); err != nil {
			return toolArguments{}, fmt.Errorf("read arguments of %s: %w", tool, err)
		}
	}
	return args, nil
}

// echo answers with the value of the call's place.
func (x *exchange) echo(args toolArguments) {
	f := firstFault(args.Faults, args.Round, args.Index, x.entry.Attempt)
	body := args.result("")
	switch {
	case f == nil && args.Bytes > len(body):
		x.padded(args, args.Bytes)
	case f == nil:
		x.send(http.StatusOK, jsonType, body)
	case f.Mode == "big":
		x.padded(args, f.bytes(10<<20))
	case f.Mode == "nul":
		x.send(f.status(http.StatusOK), jsonType, args.result(`,"note":"a\u0000b"`))
	default: // half a result ends before its value, so that a cut one never passes for a whole one
		x.misbehave(f, answer{contentType: jsonType, body: body})
	}
}

// result is the tool's JSON, with more members if asked.
func (args toolArguments) result(more string) []byte {
	b := strconv.AppendInt(append(make([]byte, 0, 96), `{"seed":`...), args.Seed, 10)
	b = strconv.AppendInt(append(b, `,"round":`...), int64(args.Round), 10)
	b = strconv.AppendInt(append(b, `,"index":`...), int64(args.Index), 10)
	b = strconv.AppendUint(append(b, `,"value":`...), value(args.Seed, args.Round, args.Index), 10)
	return append(append(b, more...), '}')
}

// padded sends the result made size bytes long, in pieces; a negative size never
// ends.
func (x *exchange) padded(args toolArguments, size int) {
	const opening, closing = `,"pad":"`, `"}`
	head := args.result("")
	head = append(head[:len(head)-1], opening...)
	fill := size
	if size >= 0 {
		fill = max(0, size-len(head)-len(closing))
		x.head(http.StatusOK, jsonType, len(head)+fill+len(closing))
	} else {
		x.head(http.StatusOK, jsonType, -1)
	}
	if x.write(head); !x.outcome.Aborted {
		x.pad(fill)
	}
	if !x.outcome.Aborted {
		x.write([]byte(closing))
	}
}
