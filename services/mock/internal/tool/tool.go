// Package tool serves the scripted tools: get_weather of the demo, and an echo
// under every other name.
package tool

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"windlass.dev/windlass/services/mock/internal/exchange"
	"windlass.dev/windlass/services/mock/internal/fault"
	"windlass.dev/windlass/services/mock/internal/jsontext"
	"windlass.dev/windlass/services/mock/internal/ledger"
	"windlass.dev/windlass/services/mock/internal/script"
)

// Schema is the JSON schema of the arguments of every echoing tool.
const Schema = `{
  "type": "object",
  "properties": {
    "seed": {"type": "integer", "description": "The run the call belongs to."},
    "round": {"type": "integer", "minimum": 0, "description": "The model round of the call."},
    "index": {"type": "integer", "minimum": 0, "description": "The call's place in the round."},
    "ms": {"type": "integer", "minimum": 0, "description": "Milliseconds to take."},
    "bytes": {"type": "integer", "minimum": 0, "description": "Least size of the result."},
    "faults": {"type": "array", "items": {"type": "object"}, "description": "What goes wrong at this call."}
  },
  "required": ["seed", "round", "index"],
  "additionalProperties": false
}`

// arguments are the instructions to a tool, which does not know the plan.
type arguments struct {
	Seed   int64         `json:"seed"`
	Round  int           `json:"round"`
	Index  int           `json:"index"`
	MS     int           `json:"ms"`
	Bytes  int           `json:"bytes"`
	Faults []fault.Fault `json:"faults"`

	city string // get_weather's only argument
}

// Server answers tool calls.
type Server struct{ *exchange.Recorder }

// ServeHTTP implements http.Handler.
func (s Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var (
		started = time.Now()
		name    = r.PathValue("name")
		size    int
		args    arguments
		bad     error
	)
	if !exchange.WithBody(w, r, func(body []byte) {
		size = len(body)
		args, bad = readArguments(name, body)
	}) {
		return
	}
	x := s.Begin(w, r, ledger.Entry{
		Kind: "tool", Tool: name, Seed: args.Seed, Round: args.Round, Index: args.Index,
		Started: started, RequestBytes: size,
	})
	defer x.End()
	if bad != nil {
		x.Refuse(bad.Error(), "")
		return
	}
	if name == Weather {
		x.Send(http.StatusOK, exchange.JSON, reportWeather(args.city))
		return
	}
	if x.Wait(time.Duration(args.MS) * time.Millisecond) {
		echo(x, args)
	}
}

func readArguments(tool string, body []byte) (arguments, error) {
	if tool == Weather {
		city, err := readCity(body)
		return arguments{city: city}, err
	}
	args := arguments{Round: -1, Index: -1}
	if err := json.Unmarshal(body, &args); err != nil {
		return arguments{}, fmt.Errorf("arguments of %s are not as its schema says: %w", tool, err)
	}
	if args.Round < 0 || args.Index < 0 || args.MS < 0 || args.MS > script.MaxMillis || args.Bytes < 0 {
		return arguments{}, fmt.Errorf("arguments of %s are not as its schema says", tool)
	}
	for _, f := range args.Faults {
		if err := f.Check(); err != nil {
			return arguments{}, fmt.Errorf("read arguments of %s: %w", tool, err)
		}
	}
	return args, nil
}

// echo answers with the value of the call's place.
func echo(x *exchange.Exchange, args arguments) {
	f := fault.First(args.Faults, args.Round, args.Index, x.Attempt)
	body := args.result("")
	switch {
	case f == nil && args.Bytes > len(body):
		sendPadded(x, args, args.Bytes)
	case f == nil:
		x.Send(http.StatusOK, exchange.JSON, body)
	default:
		sendFault(x, args, f, body)
	}
}

// sendFault sends the body with a fault. Half of the body ends before its
// value, so that a cut result never looks complete.
func sendFault(x *exchange.Exchange, args arguments, f *fault.Fault, body []byte) {
	add, size, changes := f.Change()
	switch {
	case !changes:
		f.Answer(x, exchange.Answer{ContentType: exchange.JSON, Body: body})
	case size != 0:
		sendPadded(x, args, size)
	default:
		note := string(jsontext.AppendString([]byte(`,"note":`), add))
		x.Send(f.StatusOr(http.StatusOK), exchange.JSON, args.result(note))
	}
}

// result returns the tool's JSON, with more members if given.
func (args arguments) result(more string) []byte {
	b := strconv.AppendInt(append(make([]byte, 0, 96), `{"seed":`...), args.Seed, 10)
	b = strconv.AppendInt(append(b, `,"round":`...), int64(args.Round), 10)
	b = strconv.AppendInt(append(b, `,"index":`...), int64(args.Index), 10)
	b = strconv.AppendUint(append(b, `,"value":`...), script.Value(args.Seed, args.Round, args.Index), 10)
	return append(append(b, more...), '}')
}

// sendPadded sends the result in pieces, filled up to size bytes, or without
// end if size is negative.
func sendPadded(x *exchange.Exchange, args arguments, size int) {
	const opening, closing = `,"pad":"`, `"}`
	head := args.result("")
	head = append(head[:len(head)-1], opening...)
	fill := size
	if size >= 0 {
		fill = max(0, size-len(head)-len(closing))
		x.Head(http.StatusOK, exchange.JSON, len(head)+fill+len(closing))
	} else {
		x.Head(http.StatusOK, exchange.JSON, -1)
	}
	if x.Write(head); !x.Outcome.Aborted {
		x.Pad(fill)
	}
	if !x.Outcome.Aborted {
		x.Write([]byte(closing))
	}
}
