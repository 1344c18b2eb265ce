package fault

import (
	"encoding/json"
	"testing"
	"time"
)

func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    *Error
		status int
		want   string
	}{
		{Invalid("a[0].b", "invalid_type", "No \"x\"."), 400, `{"error":{"message":"No \"x\".","type":"invalid_request_error","param":"a[0].b","code":"invalid_type"}}`},
		{NotFound("Gone."), 404, `{"error":{"message":"Gone.","type":"invalid_request_error","param":null,"code":null}}`},
		{Internal(), 500, `{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":"server_error"}}`},
		{RateLimited("Slow down.", time.Second), 429, `{"error":{"message":"Slow down.","type":"too_many_requests","param":null,"code":"rate_limit_exceeded"}}`},
		{Unavailable(time.Second), 503, `{"error":{"message":"The service is temporarily unavailable. Please retry your request.","type":"server_error","param":null,"code":"service_unavailable"}}`},
	} {
		got, err := json.Marshal(tt.err)
		if err != nil || string(got) != tt.want || tt.err.Status != tt.status {
			t.Errorf("%d %s, %v; want %d %s", tt.err.Status, got, err, tt.status, tt.want)
		}
	}
}
