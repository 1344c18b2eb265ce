package compat

import (
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
)

// BenchmarkApply measures what the settings of a server cost a call, for a body
// of 1 kB and of 1 MB.
func BenchmarkApply(b *testing.B) {
	for name, size := range map[string]int{"1kB": 1 << 10, "1MB": 1 << 20} {
		body := `{"messages":[{"role":"system","content":"` + strings.Repeat("x", size/2) + `"},{"role":"user","content":"` +
			strings.Repeat("y", size/2) + `"}],"max_completion_tokens":5,"stream_options":{"include_usage":true}}`
		for profile, u := range map[string]registry.Upstream{
			"openai": {URL: "https://api.openai.com/v1"}, "compatible": {URL: "http://h"}, "vllm": {URL: "http://h", Settings: registry.Settings{Profile: "vllm"}},
		} {
			b.Run(name+"/"+profile, func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					r := Request{Path: chatPath, Body: []byte(body)}
					Apply(r, nil, Settings(u, r))
				}
			})
		}
	}
}
