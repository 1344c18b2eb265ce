package suggest

import (
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	names := []string{"gpt-4o", "gpt-4o-mini", "demo", "Qwen/Qwen3-8B", "llama3.2:latest", "deepseek-reasoner"}
	for _, tt := range []struct {
		written string
		want    []string
	}{
		{"gpt4o", []string{"gpt-4o"}},
		{"GPT-4o", []string{"gpt-4o", "gpt-4o-mini"}},
		{"gpt-4o-mni", []string{"gpt-4o-mini", "gpt-4o"}},
		{"Demo", []string{"demo"}},
		{"dmeo", nil}, // two letters of four
		{"demos", []string{"demo"}},
		{"qwen3-8b", []string{"Qwen/Qwen3-8B"}},
		{"Qwen/Qwen3-8b", []string{"Qwen/Qwen3-8B"}},
		{"llama3.2", []string{"llama3.2:latest"}},
		{"deepseek-reasonr", []string{"deepseek-reasoner"}},
		{"reasoner", []string{"deepseek-reasoner"}},
		{"claude-sonnet", nil},
		{strings.Repeat("x", 300), nil},
	} {
		if got := Names(tt.written, names); !slices.Equal(got, tt.want) {
			t.Errorf("Names(%q) = %q, want %q", tt.written, got, tt.want)
		}
	}
}
