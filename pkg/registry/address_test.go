package registry

import (
	"strings"
	"testing"
)

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://h:8000/v1":                                  "http://h:8000/v1/chat/completions",
		"http://h:8000/v1/":                                 "http://h:8000/v1/chat/completions",
		"http://h:8000/v1//":                                "http://h:8000/v1/chat/completions",
		"http://h:8000//v1///":                              "http://h:8000/v1/chat/completions",
		" http://h:8000/v1 ":                                "http://h:8000/v1/chat/completions",
		"http://h:8000":                                     "http://h:8000/chat/completions",
		"http://h:8000/":                                    "http://h:8000/chat/completions",
		"http://h/v1/chat/completions":                      "http://h/v1/chat/completions",
		"http://h/v1/chat/completions/":                     "http://h/v1/chat/completions",
		"http://h/v1/responses":                             "http://h/v1/chat/completions",
		"http://h/v1/embeddings?a=b":                        "http://h/v1/chat/completions?a=b",
		"https://h/v1?api-version=2024-10-21":               "https://h/v1/chat/completions?api-version=2024-10-21",
		"https://h/v1/?api-version=2024-10-21&x=%2F#part":   "https://h/v1/chat/completions?api-version=2024-10-21&x=%2F",
		"https://h/openai/deployments/gpt-4o/?api-version=": "https://h/openai/deployments/gpt-4o/chat/completions?api-version=",
		"https://h/models/org%2Fname/v1/":                   "https://h/models/org%2Fname/v1/chat/completions",
		"https://h/acc/gw/custom-completions":               "https://h/acc/gw/custom-completions/chat/completions",
		"http://[::1]:11434/v1/":                            "http://[::1]:11434/v1/chat/completions",
	} {
		for _, path := range []string{"/chat/completions", "chat/completions", "/chat/completions/"} {
			if got, err := (Upstream{URL: base}).Endpoint(path); got != want || err != nil {
				t.Errorf("%q with %q is %q, %v; want %q", base, path, got, err, want)
			}
		}
	}
	for _, base := range []string{"", "h:8000/v1", "ftp://h/v1", "http://", "http:///v1", "http://user:secret@h%zz/v1", "://"} {
		if got, err := (Upstream{URL: base}).Endpoint("/x"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q is %q, %v; want an error without the URL", base, got, err)
		}
	}
}

// FuzzEndpoint: where there is an address, a second pass does not change it.
func FuzzEndpoint(f *testing.F) {
	f.Add("http://h/v1//?a=b")
	f.Add("https://h/%2F/v1/chat/completions/")
	f.Fuzz(func(t *testing.T, base string) {
		once, err := (Upstream{URL: base}).Endpoint("/chat/completions")
		if err != nil {
			return
		}
		if again, err := (Upstream{URL: once}).Endpoint("/chat/completions"); err != nil || again != once {
			t.Errorf("%q is %q, and that is %q (%v)", base, once, again, err)
		}
	})
}
