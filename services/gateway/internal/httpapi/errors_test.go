package httpapi

import "testing"

func TestLoggedRefusalsQuoteNoRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ message, want string }{
		{"Incorrect API key provided.", "Incorrect API key provided."},
		{"The model 'a secret' does not exist.", "The model '…' does not exist."},
		{"Invalid value: 'it's a secret'. Supported values are: 'asc' and 'desc'.", "Invalid value: '…'."},
		{"Invalid URL (GET /v1/secret) here", "Invalid URL (…) here"},
		{"You didn't provide a key (i.e. KEY).", "You didn't provide a key (…)."},
		{"The server's turn.", "The server's turn."},
		{"'", "'"},
	} {
		if got := WithoutQuotes(tt.message); got != tt.want {
			t.Errorf("withoutQuotes(%q) = %q, want %q", tt.message, got, tt.want)
		}
	}
}
