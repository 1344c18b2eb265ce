package responses

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Usage counts the tokens of model calls. CachedTokens and CacheWriteTokens are
// part of InputTokens, ReasoningTokens is part of OutputTokens.
type Usage struct {
	InputTokens      int64
	CachedTokens     int64
	CacheWriteTokens int64
	OutputTokens     int64
	ReasoningTokens  int64
}

// Add returns the sum of both.
func (u Usage) Add(v Usage) Usage {
	u.InputTokens += v.InputTokens
	u.CachedTokens += v.CachedTokens
	u.CacheWriteTokens += v.CacheWriteTokens
	u.OutputTokens += v.OutputTokens
	u.ReasoningTokens += v.ReasoningTokens
	return u
}

// Total returns the sum of input and output tokens.
func (u Usage) Total() int64 { return u.InputTokens + u.OutputTokens }

// MarshalJSON returns the usage object of a response, with both details.
func (u Usage) MarshalJSON() ([]byte, error) { return u.AppendJSON(nil), nil }

// AppendJSON appends the usage object of a response.
func (u Usage) AppendJSON(b []byte) []byte {
	b = append(b, `{"input_tokens":`...)
	b = strconv.AppendInt(b, u.InputTokens, 10)
	b = append(b, `,"input_tokens_details":{"cached_tokens":`...)
	b = strconv.AppendInt(b, u.CachedTokens, 10)
	b = append(b, `,"cache_write_tokens":`...)
	b = strconv.AppendInt(b, u.CacheWriteTokens, 10)
	b = append(b, `},"output_tokens":`...)
	b = strconv.AppendInt(b, u.OutputTokens, 10)
	b = append(b, `,"output_tokens_details":{"reasoning_tokens":`...)
	b = strconv.AppendInt(b, u.ReasoningTokens, 10)
	b = append(b, `},"total_tokens":`...)
	b = strconv.AppendInt(b, u.Total(), 10)
	return append(b, '}')
}

// UnmarshalJSON reads what MarshalJSON wrote. The total is not read.
func (u *Usage) UnmarshalJSON(b []byte) error {
	var in struct {
		Input   int64 `json:"input_tokens"`
		Output  int64 `json:"output_tokens"`
		InputOf struct {
			Cached int64 `json:"cached_tokens"`
			Write  int64 `json:"cache_write_tokens"`
		} `json:"input_tokens_details"`
		OutputOf struct {
			Reasoning int64 `json:"reasoning_tokens"`
		} `json:"output_tokens_details"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("read usage: %w", err)
	}
	*u = Usage{
		InputTokens: in.Input, CachedTokens: in.InputOf.Cached, CacheWriteTokens: in.InputOf.Write,
		OutputTokens: in.Output, ReasoningTokens: in.OutputOf.Reasoning,
	}
	return nil
}
