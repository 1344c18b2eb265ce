package chat

import (
	"testing"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

func BenchmarkStream(b *testing.B) {
	data := []byte(`{"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}],"usage":null}`)
	s := Dialect{}.Stream(func(model.Delta) {})
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Event(data); err != nil {
			b.Fatal(err)
		}
	}
}
