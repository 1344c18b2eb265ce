// Package tokens estimates the tokens of a model call, for upstreams that have
// no endpoint that counts them.
//
// It counts with o200k_base, the vocabulary of OpenAI's current models, and
// adds what their chat format puts around each message (TestChat). Other models
// have other vocabularies, and most have fewer words: an estimate may be off by
// a fifth, and more for text that is not English. Images and files are not
// estimated (TestWhatIsNoTextIsNotEstimated), because their size in tokens is
// not in the call.
//
// The vocabulary is read at the first count, and takes some 12 MB from then on.
package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer"
)

// ErrUncountable says that a call holds content that is not text.
var ErrUncountable = errors.New("only the tokens of text can be counted")

const (
	// perMessage are the tokens of a message beside its text, and perAnswer
	// those of the beginning of the answer, by OpenAI's cookbook.
	perMessage = 3
	perAnswer  = 3
	// maxCounted bounds the bytes that are counted: less than half a second. Of
	// a longer text, pieces from all over it are counted.
	maxCounted = 256 << 10
	// pieceSize is what is counted at once; a count can end between two pieces.
	pieceSize = 16 << 10
)

var vocabulary = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })

// slot lets one count run at a time, because a count occupies a core.
var slot = make(chan struct{}, 1)

// call is a body of chat completions without what a model does not see, like
// the ids of calls.
type call struct {
	Messages []struct {
		Role      string
		Content   json.RawMessage
		Refusal   string
		ToolCalls []struct {
			Function struct{ Name, Arguments string }
		} `json:"tool_calls"`
	}
	Tools []struct {
		Function json.RawMessage
	}
	ResponseFormat struct {
		Schema json.RawMessage `json:"json_schema"`
	} `json:"response_format"`
}

// Chat estimates the tokens of a body of chat completions. It returns
// ErrUncountable for content that is not text. Safe for concurrent use: counts
// wait for each other, and end with ctx.
func Chat(ctx context.Context, body []byte) (int64, error) {
	var c call
	if err := json.Unmarshal(body, &c); err != nil {
		return 0, fmt.Errorf("read the call: %w", err)
	}
	var texts []string
	n := int64(perAnswer)
	for i, m := range c.Messages {
		content, err := readTexts(m.Content)
		if err != nil {
			return 0, fmt.Errorf("message %d: %w", i+1, err)
		}
		texts = append(append(texts, m.Role, m.Refusal), content...)
		for _, called := range m.ToolCalls {
			texts = append(texts, called.Function.Name, called.Function.Arguments)
		}
		n += perMessage
	}
	for _, t := range c.Tools {
		texts = append(texts, string(t.Function))
	}
	texts = append(texts, string(c.ResponseFormat.Schema))
	select {
	case slot <- struct{}{}:
		defer func() { <-slot }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	counted, err := count(ctx, texts)
	return n + counted, err
}

// readTexts returns the texts of a message, whose content is a text, parts or
// null.
func readTexts(content json.RawMessage) ([]string, error) {
	var text string
	if len(content) == 0 || json.Unmarshal(content, &text) == nil {
		return []string{text}, nil
	}
	var parts []struct{ Type, Text string }
	if err := json.Unmarshal(content, &parts); err != nil {
		return nil, fmt.Errorf("read its content: %w", err)
	}
	var texts []string
	for _, p := range parts {
		if p.Type != "text" {
			return nil, fmt.Errorf("content of the type '%.64s': %w", p.Type, ErrUncountable)
		}
		texts = append(texts, p.Text)
	}
	return texts, nil
}

// count sums the tokens of the texts, each encoded by itself.
func count(ctx context.Context, texts []string) (int64, error) {
	codec, err := vocabulary()
	if err != nil {
		return 0, fmt.Errorf("read the vocabulary: %w", err)
	}
	var total int64
	for _, text := range texts {
		total += int64(len(text))
	}
	share := 1 + total/maxCounted // one byte in so many is counted
	var tokens, seen, counted int64
	for _, text := range texts {
		for first := ""; text != ""; seen += int64(len(first)) {
			if first, text = split(text); counted > seen/share {
				continue
			}
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
			n, err := codec.Count(first)
			if err != nil {
				return 0, fmt.Errorf("count tokens: %w", err)
			}
			tokens, counted = tokens+int64(n), counted+int64(len(first))
		}
	}
	if counted < total {
		tokens = (tokens*total + counted - 1) / counted
	}
	return tokens, nil
}

// split cuts off a piece, before a space if possible, because tokens begin with
// spaces.
func split(text string) (first, rest string) {
	if len(text) <= pieceSize {
		return text, ""
	}
	at := strings.LastIndexByte(text[:pieceSize], ' ')
	if at <= 0 {
		for at = pieceSize; at > 1 && !utf8.RuneStart(text[at]); at-- {
		}
	}
	return text[:at], text[at:]
}
