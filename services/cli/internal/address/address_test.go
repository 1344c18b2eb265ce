package address

import "testing"

func TestAddressesAndURLsAreCompleted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"8081": "127.0.0.1:8081", "0": "127.0.0.1:0", ":8081": ":8081", "0.0.0.0:80": "0.0.0.0:80", "[::1]:80": "[::1]:80", "a.b:1": "a.b:1",
	} {
		if got, err := ParseListen("--listen", text); err != nil || got != want {
			t.Errorf("ParseListen(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "", "localhost:11434/v1": "http://localhost:11434/v1", "127.0.0.1:1/v1": "http://127.0.0.1:1/v1", "[::1]:1": "http://[::1]:1",
		"localhost": "http://localhost", "http://a/v1": "http://a/v1", "https://a.example/v1?x=1": "https://a.example/v1?x=1", "HTTPS://a": "HTTPS://a",
	} {
		if got, err := ParseHTTP("--model-url", text); err != nil || got != want {
			t.Errorf("ParseHTTP(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}
