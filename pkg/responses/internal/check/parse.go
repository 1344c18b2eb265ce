package check

import (
	"errors"
	"fmt"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Parse checks a whole text and refuses it in the API's words.
func Parse(b []byte) (raw.Value, *fault.Error) {
	v, err := raw.Parse(b)
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, raw.ErrDepth):
		return nil, fault.Invalid("", "", fmt.Sprintf("We could not parse the JSON body of your request. "+
			"It is nested too deeply: at most %d levels are allowed.", raw.Depth))
	}
	return nil, fault.Invalid("", "", "We could not parse the JSON body of your request. (HINT: This likely means "+
		"you aren't using your HTTP library correctly. The API expects a JSON payload in UTF-8, but what was sent "+
		"was not valid JSON.)")
}

// Text requires a string of at most most characters. It decodes the string only
// if its length in bytes does not settle the question.
func Text(v raw.Value, most int) *Problem {
	if p := Type(v, raw.String); p != nil || len(v)-2 <= most {
		return p
	}
	return Length(v.Text(), most)
}
