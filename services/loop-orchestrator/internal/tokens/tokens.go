// Package tokens estimates how many tokens a model is shown, for upstreams that cannot be asked.
//
// It counts with o200k_base, the vocabulary of OpenAI's current models, and adds what their chat format puts round each message. Other
// models have other vocabularies, and most have fewer words: an estimate may be off by a fifth, and more for text that is not English.
// What is not text is not estimated: nothing here knows the size of an image or the pages of a file.
//
// The vocabulary is read when something is first counted, and takes some 12 MB from then on.
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

// ErrUncountable says that a call holds what is not text.
var ErrUncountable = errors.New("it cannot be told how many tokens this is")

const (
	// perMessage is what each message costs beside its text, and perAnswer what the beginning of the answer does, by OpenAI's cookbook.
	perMessage = 3
	perAnswer  = 3
	// most bounds how many bytes are counted: less than half a second. Of more than that pieces are counted that lie all over it.
	most = 256 << 10
	// piece is what is counted at once; between two pieces a count can be ended.
	piece = 16 << 10
)

var vocabulary = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })

// turn lets one count go on at a time: it takes a core for as long as it lasts.
var turn = make(chan struct{}, 1)

// call is a body of chat completions, as far as a model is shown it: the ids of calls are not.
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

// Chat estimates the tokens of a body of chat completions. ErrUncountable names what is not text. Safe for concurrent use; it waits for
// its turn, and ends with ctx.
func Chat(ctx context.Context, body []byte) (int64, error) {
	var c call
	if err := json.Unmarshal(body, &c); err != nil {
		return 0, fmt.Errorf("read the call: %w", err)
	}
	var texts []string
	n := int64(perAnswer)
	for i, m := range c.Messages {
		said, err := contents(m.Content)
		if err != nil {
			return 0, fmt.Errorf("message %d: %w", i+1, err)
		}
		texts = append(append(texts, m.Role, m.Refusal), said...)
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
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	counted, err := count(ctx, texts)
	return n + counted, err
}

// contents are the texts of a message: its content is one, or parts, or null.
func contents(content json.RawMessage) ([]string, error) {
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

// count is how many tokens the texts are, each for itself.
func count(ctx context.Context, texts []string) (int64, error) {
	codec, err := vocabulary()
	if err != nil {
		return 0, fmt.Errorf("read the vocabulary: %w", err)
	}
	var total int64
	for _, text := range texts {
		total += int64(len(text))
	}
	share := 1 + total/most // one byte in so many is counted
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

// split cuts a piece off, if possible ahead of a blank: tokens begin with blanks.
func split(text string) (first, rest string) {
	if len(text) <= piece {
		return text, ""
	}
	at := strings.LastIndexByte(text[:piece], ' ')
	if at <= 0 {
		for at = piece; at > 1 && !utf8.RuneStart(text[at]); at-- {
		}
	}
	return text[:at], text[at:]
}
