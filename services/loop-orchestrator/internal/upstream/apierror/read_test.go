package apierror

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRead has the shapes in which servers write errors.
func TestRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		want Details
	}{
		"OpenAI":             {`{"error":{"message":"No.","type":"t","param":"p","code":"c"}}`, Details{Message: "No.", Type: "t", Param: "p", Code: "c"}},
		"without envelope":   {`{"object":"error","message":"No.","type":"BadRequestError","param":null,"code":400}`, Details{Message: "No.", Type: "BadRequestError", Code: "400", Status: 400}},
		"Ollama":             {`{"error":"model 'foo' not found"}`, Details{Message: "model 'foo' not found"}},
		"Gemini":             {`[{"error":{"code":400,"message":"Please use a valid role.","status":"INVALID_ARGUMENT"}}]`, Details{Message: "Please use a valid role.", Type: "INVALID_ARGUMENT", Code: "400", Status: 400}},
		"Gemini's wait":      {`{"error":{"code":429,"message":"Quota.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.Help"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}`, Details{Message: "Quota.", Type: "RESOURCE_EXHAUSTED", Code: "429", Status: 429, Wait: 34500 * time.Millisecond}},
		"FastAPI":            {`{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]}`, Details{Message: "messages: Field required", Type: "missing", Param: "messages"}},
		"FastAPI, twice":     {`{"detail":[{"loc":["body","messages",0,"role"],"msg":"Bad"},{"loc":["query"],"msg":"Worse"}]}`, Details{Message: "messages.0.role: Bad; query: Worse", Param: "messages.0.role"}},
		"FastAPI's text":     {`{"detail":"Not Found"}`, Details{Message: "Not Found"}},
		"FastAPI's object":   {`{"detail":{"error":{"message":"No.","code":"c"}}}`, Details{Message: "No.", Code: "c"}},
		"Mistral":            {`{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"Extra inputs are not permitted"}]},"type":"invalid_request_error"}`, Details{Message: "x: Extra inputs are not permitted", Type: "invalid_request_error", Param: "x"}},
		"Anthropic":          {`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, Details{Message: "Overloaded", Type: "overloaded_error"}},
		"OpenRouter":         {`{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"too long\"}}","provider_name":"X"}}}`, Details{Message: "Provider returned error (X): too long", Code: "400", Status: 400}},
		"OpenRouter's text":  {`{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"m is temporarily rate-limited"}}}`, Details{Message: "Provider returned error: m is temporarily rate-limited", Code: "429", Status: 429}},
		"Bedrock":            {`{"Message":"The provided model identifier is invalid."}`, Details{Message: "The provided model identifier is invalid."}},
		"AWS":                {`{"__type":"ValidationException","message":"bad"}`, Details{Message: "bad", Type: "ValidationException"}},
		"msg":                {`{"code":1,"msg":"model is busy"}`, Details{Message: "model is busy", Code: "1"}},
		"errors":             {`{"success":false,"errors":[{"code":7003,"message":"No route"}],"messages":[]}`, Details{Message: "No route", Code: "7003"}},
		"errors as texts":    {`{"errors":["one","two"]}`, Details{Message: "one; two"}},
		"a problem":          {`{"type":"about:blank","title":"Bad Request","status":400,"detail":"n is too small"}`, Details{Message: "Bad Request: n is too small", Type: "about:blank", Status: 400}},
		"NestJS":             {`{"statusCode":400,"message":["a must be a string","b is missing"],"error":"Bad Request"}`, Details{Message: "Bad Request: a must be a string; b is missing", Status: 400}},
		"TGI":                {`{"error":"Input validation error","error_type":"validation"}`, Details{Message: "Input validation error", Type: "validation"}},
		"Hugging Face":       {`{"error":"Model x is currently loading","estimated_time":20.5}`, Details{Message: "Model x is currently loading", Wait: 20500 * time.Millisecond}},
		"OAuth":              {`{"error":"invalid_client","error_description":"unknown key"}`, Details{Message: "invalid_client: unknown key"}},
		"a flag":             {`{"error":true,"message":"No."}`, Details{Message: "No."}},
		"JSON in a text":     {`{"error":{"message":"{\"error\":{\"message\":\"inner\",\"code\":\"c\"}}"}}`, Details{Message: "inner", Code: "c"}},
		"JSON as a text":     {`"model foo is not loaded"`, Details{Message: "model foo is not loaded"}},
		"Groq":               {`{"error":{"message":"Failed.","code":"tool_use_failed","failed_generation":""}}`, Details{Message: "Failed.", Code: "tool_use_failed", ModelFailed: true}},
		"an event":           {"event: error\ndata: {\"error\":{\"message\":\"No.\"}}\n\n", Details{Message: "No."}},
		"behind a mark":      {"\ufeff {\"error\":\"No.\"}", Details{Message: "No."}},
		"OpenAI's wait":      {`{"error":{"message":"Rate limit reached. Please try again in 6.5s."}}`, Details{Message: "Rate limit reached. Please try again in 6.5s.", Wait: 6500 * time.Millisecond}},
		"a text":             {"model foo is not loaded\n", Details{Message: "model foo is not loaded", Excerpt: true}},
		"a page":             {"<html>\n<head><title>502 Bad Gateway</title></head>\n<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>", Details{Message: "502 Bad Gateway: nginx", Excerpt: true}},
		"a page in capitals": {"<!DOCTYPE HTML><HTML><BODY><SCRIPT>x()</SCRIPT><P>Not &amp; here</P></BODY></HTML>", Details{Message: "Not & here", Excerpt: true}},
		"an unknown shape":   {`{"odd":{"a":1}}`, Details{Message: `{"odd":{"a":1}}`, Excerpt: true}},
		"JSON that was cut":  {`{"error":{"mess`, Details{Message: `{"error":{"mess`, Excerpt: true}},
		"bytes":              {"\xff\x00\xfe\x01\x02\x03\xfd\x04\x05\x06\xfc\xfb", Details{Excerpt: true}},
		"nothing":            {"", Details{}}, "null": {"null", Details{}}, "an empty object": {"{}", Details{}}, "an empty list": {"[]", Details{}},
		"empty members": {`{"error":{"message":"","code":null}}`, Details{Message: `{"error":{"message":"","code":null}}`, Excerpt: true}},
	} {
		if diff := cmp.Diff(tt.want, Read([]byte(tt.body))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWordsAreBounded(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a message": `{"error":"` + strings.Repeat("ü", 1<<20) + `"}`, "a text": strings.Repeat("no ", 1<<20), "a list": `["` + strings.Repeat(`no","`, 1<<16) + `"]`,
		"a nest": strings.Repeat(`{"error":`, 1<<16) + strings.Repeat("}", 1<<16), "texts in texts": strings.Repeat(`["`, 1<<12),
	} {
		if w := Read([]byte(body)); len(w.Message) > maxMessage {
			t.Errorf("%s: a message of %d bytes", name, len(w.Message))
		}
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		words  Details
		code   string
		retry  bool
		own    bool
	}{
		"a bad request":           {400, Details{Message: "No."}, "invalid_prompt", false, true},
		"with a code":             {400, Details{Message: "No.", Code: "context_length_exceeded"}, "context_length_exceeded", false, true},
		"with a number":           {422, Details{Code: "422"}, "invalid_prompt", false, true},
		"a refused key":           {401, Details{Code: "invalid_api_key"}, "upstream_unauthorized", false, false},
		"a forbidden thing":       {403, Details{Message: "not in your country", Code: "unsupported_country"}, "upstream_forbidden", false, false},
		"no credit":               {402, Details{Message: "Insufficient credits"}, "insufficient_quota", false, true},
		"no such model":           {404, Details{Message: "The model `x` does not exist.", Type: "NotFoundError", Code: "404"}, "model_not_found", false, true},
		"Ollama's model":          {404, Details{Message: "model 'foo' not found"}, "model_not_found", false, true},
		"Azure's deployment":      {404, Details{Message: "The API deployment for this resource does not exist.", Code: "DeploymentNotFound"}, "model_not_found", false, true},
		"OpenRouter's model":      {400, Details{Message: "x is not a valid model ID"}, "model_not_found", false, true},
		"no such path":            {404, Details{Message: "Not Found"}, "upstream_not_found", false, true},
		"no such method":          {405, Details{Message: "Method Not Allowed"}, "upstream_not_found", false, true},
		"too large":               {413, Details{Message: "Request entity too large"}, "request_too_large", false, true},
		"a conflict":              {409, Details{Message: "Busy."}, "upstream_conflict", false, true},
		"too fast":                {429, Details{Code: "requests"}, "rate_limit_exceeded", true, true},
		"a quota that is spent":   {429, Details{Message: "You exceeded your current quota", Code: "insufficient_quota"}, "insufficient_quota", false, true},
		"more than the limit":     {429, Details{Message: "Request too large for gpt-4o on tokens per min"}, "rate_limit_exceeded", false, true},
		"what the model failed":   {400, Details{Code: "tool_use_failed"}, "tool_use_failed", true, true},
		"JSON that it failed":     {400, Details{Code: "json_validate_failed"}, "json_validate_failed", true, true},
		"what it generated":       {400, Details{ModelFailed: true}, "invalid_prompt", true, true},
		"the same with a 422":     {422, Details{ModelFailed: true}, "invalid_prompt", false, true},
		"a server's error":        {500, Details{Code: "internal"}, "server_error", true, false},
		"what is not implemented": {501, Details{Code: "not_supported"}, "not_supported", false, false},
		"an HTTP version":         {505, Details{}, "server_error", false, false},
		"an overload":             {529, Details{}, "server_error", true, false},
		"a redirect":              {301, Details{}, "upstream_redirect", false, false},
	} {
		e := Rejected(tt.status, tt.words)
		if e.Code != tt.code || e.Retriable != tt.retry || (e.Own != nil) != tt.own || e.HTTPStatus != tt.status || !strings.Contains(e.Message, tt.words.Message) {
			t.Errorf("%s: %+v with %s", name, e, e.Own)
		}
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 500_000_000, time.UTC)
	const s, ms = time.Second, time.Millisecond
	for name, tt := range map[string]struct {
		header map[string]string
		status int
		want   time.Duration
	}{
		"nothing":               {nil, 429, 0},
		"seconds":               {map[string]string{"Retry-After": "2"}, 503, 2 * s},
		"a fraction":            {map[string]string{"Retry-After": " 0.25 "}, 429, 250 * ms},
		"a duration":            {map[string]string{"Retry-After": "20s"}, 429, 20 * s},
		"minutes":               {map[string]string{"Retry-After": "1m30.5s"}, 429, 90*s + 500*ms},
		"milliseconds":          {map[string]string{"Retry-After": "350ms"}, 429, 350 * ms},
		"below nothing":         {map[string]string{"Retry-After": "-1"}, 429, 0},
		"no number":             {map[string]string{"Retry-After": "NaN"}, 429, 0},
		"a word":                {map[string]string{"Retry-After": "soon"}, 429, 0},
		"too long":              {map[string]string{"Retry-After": "1e300"}, 429, MaxWait},
		"a date":                {map[string]string{"Retry-After": "Fri, 02 Jan 2026 03:04:15 GMT"}, 429, 9500 * ms},
		"a date of another":     {map[string]string{"Retry-After": "Friday, 02-Jan-26 03:04:15 GMT"}, 429, 9500 * ms},
		"a date of RFC 3339":    {map[string]string{"Retry-After": "2026-01-02T03:04:07Z"}, 429, 1500 * ms},
		"a date that passed":    {map[string]string{"Retry-After": "Fri, 02 Jan 2026 03:04:00 GMT"}, 429, 0},
		"a date far away":       {map[string]string{"Retry-After": "Sat, 02 Jan 2027 03:04:05 GMT"}, 429, MaxWait},
		"OpenAI's":              {map[string]string{"Retry-After-Ms": "2500"}, 429, 2500 * ms},
		"Azure's":               {map[string]string{"X-Ms-Retry-After-Ms": "2500.4"}, 429, 2500*ms + 400*time.Microsecond},
		"the longest counts":    {map[string]string{"Retry-After": "2", "Retry-After-Ms": "1500"}, 429, 2 * s},
		"of a limit":            {map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "6m0s", "X-Ratelimit-Remaining-Tokens": "10", "X-Ratelimit-Reset-Tokens": "24h"}, 429, 6 * time.Minute},
		"of no refusal":         {map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "6m0s"}, 500, 0},
		"days":                  {map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "0d1h"}, 429, time.Hour},
		"of the only limit":     {map[string]string{"X-Ratelimit-Reset": "12"}, 429, 12 * s},
		"since 1970":            {map[string]string{"X-Ratelimit-Reset": "1767323055"}, 429, 9500 * ms},
		"in ms since 1970":      {map[string]string{"X-Ratelimit-Reset": "1767323046000", "X-Ratelimit-Remaining": "0"}, 429, 500 * ms},
		"Anthropic's":           {map[string]string{"Anthropic-Ratelimit-Tokens-Remaining": "0", "Anthropic-Ratelimit-Tokens-Reset": "2026-01-02T03:05:05Z"}, 429, 59500 * ms},
		"less than Retry-After": {map[string]string{"Retry-After": "1", "X-Ratelimit-Reset": "100"}, 429, s},
	} {
		h := http.Header{}
		for k, v := range tt.header {
			h.Set(k, v)
		}
		if got := Wait(h, tt.status, now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	for message, want := range map[string]time.Duration{
		"Rate limit reached for x. Please try again in 6.5s. Visit y": 6500 * ms,
		"Limit 8000, Used 7999. Please try again in 7m12.5s.":         7*time.Minute + 12500*ms,
		"Please try again in 2h5m":                                    2*time.Hour + 5*time.Minute,
		"Please try again in 1d2h3m4s":                                26*time.Hour + 3*time.Minute + 4*s, // clamped below
		"Please try again in 350ms":                                   350 * ms,
		"Please retry after 20 seconds.":                              20 * s,
		"Please retry in 34.07s.":                                     34070 * ms,
		"retry after 1 minute":                                        time.Minute,
		"You may try again after 3 hours":                             3 * time.Hour,
		"Wait 500 milliseconds":                                       500 * ms,
		"Try again later":                                             0, "It takes 5s": 0, "in 20 seconds": 0, "retry 3 times": 0,
	} {
		if got := waitInText(message); got != min(want, MaxWait) {
			t.Errorf("%q is %v, want %v", message, got, want)
		}
	}
}

// FuzzRead holds that the details of any body are bounded, valid text, and
// without the credential.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"error":{"message":"sk-key","code":400,"details":[{"retryDelay":"3s"}],"metadata":{"raw":"{}"}}}`))
	f.Add([]byte(`[{"detail":[{"loc":["body",1],"msg":"x"}]},"y",{"Message":{"error":["z"]}}]`))
	f.Add([]byte("<html><title>&lt;</title><script>x</script>sk-key"))
	f.Add([]byte("event: error\ndata: {\"error\":\"x\"}"))
	f.Add([]byte(`"try again in 3d4h5m6.7s"`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := Read(body).Redact("sk-key")
		if len(w.Message) > 2*maxMessage || strings.Contains(w.Message+w.Code+w.Type+w.Param, "sk-key") || w.Wait < 0 || w.Wait > MaxWait {
			t.Fatalf("%q has the words %+v", body, w)
		}
		for _, e := range []interface{ Error() string }{Reported(w), Rejected(400, w), Rejected(503, w)} {
			if e.Error() == "" {
				t.Fatalf("%q is a failure without a message", body)
			}
		}
	})
}
