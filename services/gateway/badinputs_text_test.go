package gateway

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

// notJSON: I1, at every route that takes a body.
func notJSON(t *testing.T, in *inputs) {
	for _, b := range in.bodies() {
		for name, body := range map[string]string{
			"malformed": `{"model":`, "blank": " ", "a word": `model`, "single quotes": `{'model':'m'}`, "trailing comma": `{"a":1,}`,
			"trailing garbage": b.body + " x", "two texts": b.body + "{}",
			"tab in a string": "{\"model\":\"m\",\"input\":\"\t\"}", "line feed in a string": "{\"model\":\"m\",\"input\":\"\n\"}",
			"NUL": b.body + "\x00", "NaN": `{"temperature":NaN}`, "comment": `{/**/}`, "half an escape": `{"model":"\u12"}`,
			"leading zero": `{"a":01}`, "hexadecimal": `{"a":0x1}`,
		} {
			in.all(t, bad{name: b.name + " " + name, path: b.path, body: body, message: hint})
		}
		for name, body := range map[string]string{"an array": `[]`, "a string": `"x"`, "an integer": `5`, "null": `null`} {
			in.all(t, bad{
				name: b.name + " " + name, path: b.path, body: body, code: "invalid_type",
				message: "Invalid type for 'body': expected an object, but got " + name + " instead.",
			})
		}
	}
	in.all(t,
		bad{name: "empty", body: "", message: hint},
		bad{name: "empty, of a chat", path: chatPath, body: "", message: hint},
		bad{name: "empty, of embeddings", path: "/v1/embeddings", body: "", message: hint},
		acceptCase("a key twice", `"user":"a","user":"b"`, `"user":"b"`, "JSON allows it; the last one counts, as with OpenAI"),
	)
}

// deepNesting: I2. A refusal takes 10 ms at most, or what ten refusals of a
// flat text of that size take where the machine is busy.
func deepNesting(t *testing.T, in *inputs) {
	const many = 100_000
	best := func(b bad) time.Duration {
		least := time.Hour
		for range 20 { // other tests run beside it
			began := time.Now()
			in.do(t, in.requestOf(t, b))
			least = min(least, time.Since(began))
		}
		return least
	}
	enough := max(10*time.Millisecond, 10*best(bad{body: `{"x":"` + strings.Repeat("x", many) + `"}`}))
	deep := unparsed + "It is nested too deeply: at most 64 levels are allowed."
	table := []bad{
		{name: "arrays", body: strings.Repeat("[", many), message: deep},
		{name: "objects", body: strings.Repeat(`{"a":`, many/5), message: deep},
		{name: "arrays in the input", body: `{"model":"m","input":` + strings.Repeat("[", many), message: deep},
		{name: "whole arrays", body: `{"x":` + strings.Repeat("[", many) + strings.Repeat("]", many) + `}`, message: deep},
		{name: "65 levels of an unknown field", body: `{"model":"m","input":"x","x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, message: deep},
		{name: "a schema", body: `{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":` + strings.Repeat("[", many), message: unparsed},
	}
	for _, b := range in.bodies() {
		table = append(table, bad{name: b.name, path: b.path, body: `{"metadata":` + strings.Repeat(`{"a":`, many/5), message: deep})
	}
	for _, b := range table {
		in.all(t, b)
		if took := best(b); took > enough {
			t.Errorf("%s: a refusal takes %v, want %v at most", b.name, took, enough)
		}
	}
	levels := strings.Repeat("[", 61) + strings.Repeat("]", 61)
	in.all(t,
		acceptCase("64 levels", `"client_metadata":{"a":{"b":`+levels+`}}`, ``, "they are the limit"),
		acceptCase("a schema of 400", `"tools":[{"type":"function","name":"f","parameters":{"type":"object","default":`+
			strings.Repeat("[", 400)+strings.Repeat("]", 400)+`}}]`, `"name":"f"`, "schemas have a limit of their own, 512"),
		acceptCase("arguments are text", `"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"`+strings.Repeat("[", many)+
			`"},{"type":"function_call_output","call_id":"c","output":""}]`, ``, "this server does not parse them"),
	)
}

// endless is a body without end, which counts what is taken of it.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	e.taken.Add(int64(len(b)))
	return len(b), nil
}

// hugeBodies: I3. What is taken of a body is the limit, and what the
// connection's buffers hold.
func hugeBodies(t *testing.T, in *inputs) {
	const limit, buffers, most = 1 << 20, 16 << 20, 10_485_760
	in.all(t,
		ask("a text of one character too many", `"input":"`+strings.Repeat("x", most+1)+`"`, "input", "string_above_max_length",
			"Invalid 'input': string too long. Expected a string with maximum length 10485760, but got a string with length 10485761 instead."),
		ask("in a message", `"input":[{"role":"user","content":"`+strings.Repeat("x", most+1)+`"}]`, "input[0].content", "string_above_max_length",
			"Invalid 'input[0].content': string too long."),
		bad{name: "more than the limit", body: `{"model":"m","input":"` + strings.Repeat("x", 16<<20) + `"}`, status: http.StatusRequestEntityTooLarge, code: "request_too_large", message: "The body of your request is too large: at most 16777216 bytes are allowed."},
	)
	s := raise(t, func(c *Config) { c.MaxBody = limit })
	for _, b := range in.bodies() {
		for name, length := range map[string]int64{"announced": 1 << 40, "chunked": -1} {
			body := &endless{}
			r := s.request(t.Context(), "POST", b.path, "x")
			r.Body, r.ContentLength = io.NopCloser(body), length
			began := time.Now()
			got := s.send(r)
			in.judge(t, bad{
				status: http.StatusRequestEntityTooLarge, code: "request_too_large",
				message: "The body of your request is too large: at most 1048576 bytes are allowed.",
			}, got)
			if n, took := body.taken.Load(), time.Since(began); n > limit+buffers || took > quick {
				t.Errorf("%s, %s: %d bytes were taken in %v", b.name, name, n, took)
			}
		}
	}
	whole := `{"model":"m","input":"` + strings.Repeat("x", limit-200) + `","background":true}`
	if got := s.call("POST", create, whole); got.status != http.StatusOK {
		t.Errorf("a body of %d bytes was answered %d", len(whole), got.status)
	}
}

// oddUnicode: I4. What is no UTF-8 is refused; a surrogate without its partner,
// which is no character, becomes U+FFFD.
func oddUnicode(t *testing.T, in *inputs) {
	for _, b := range in.bodies() {
		for name, text := range map[string]string{
			"a stray byte": "\xff", "half a character": "\xe2\x82", "an overlong slash": "\xc0\xaf", "a surrogate in UTF-8": "\xed\xa0\x80",
		} {
			in.all(t, bad{name: b.name + " " + name, path: b.path, body: `{"model":"m","input":"` + text + `"}`, message: hint})
		}
		in.all(t,
			bad{name: b.name + " a byte order mark", path: b.path, body: "\ufeff" + b.body, message: hint},
			bad{name: b.name + " UTF-16", path: b.path, body: "\xff\xfe{\x00}\x00", message: hint},
		)
	}
	in.all(t,
		bad{name: "in an id", method: "GET", path: create + "/resp_%ff%fe", status: http.StatusNotFound, message: "Response with id 'resp_"},
		bad{name: "in a parameter", method: "GET", path: create + "/{completed}/input_items?order=%ff", param: "order", code: "invalid_value"},
		acceptCase("a high surrogate alone", `"instructions":"a\ud800b"`, "\"instructions\":\"a\uFFFDb\"", "the replacement is documented"),
		acceptCase("a low surrogate alone", `"metadata":{"\udc00":"\udc00\ud800"}`, "\"metadata\":{\"\uFFFD\":\"\uFFFD\uFFFD\"}", "the replacement is documented"),
		acceptCase("a pair", `"instructions":"\ud83d\ude00"`, "\"instructions\":\"😀\"", "it is one character"),
		acceptCase("noncharacters", `"instructions":"\uffff\ufdd0"`, "\"instructions\":\"\uffff\ufdd0\"", "they are valid"),
	)
	got := in.call("POST", create, `{"model":"m","background":true,"input":[{"role":"user","content":"\ud800"}]}`)
	items := in.call("GET", create+"/"+createdID(t, got)+"/input_items", "")
	if !utf8.Valid(items.body) || !strings.Contains(string(items.body), "\uFFFD") && !strings.Contains(string(items.body), `\ufffd`) {
		t.Errorf("a lone surrogate of the input is listed as %s", items.body)
	}
	in.before = in.everything()
}

// nulCharacters: I5. A NUL is a character like any other: it is kept, and given
// back.
func nulCharacters(t *testing.T, in *inputs) {
	in.all(t,
		acceptCase("instructions", `"instructions":"a\u0000b"`, `"instructions":"a\u0000b"`, ""),
		acceptCase("metadata", `"metadata":{"k\u0000":"\u0000"}`, `"metadata":{"k\u0000":"\u0000"}`, ""),
		acceptCase("names of people", `"user":"\u0000","safety_identifier":"\u0000","prompt_cache_key":"\u0000"`, `"user":"\u0000"`, ""),
		acceptCase("a tool", `"tools":[{"type":"function","name":"f","description":"\u0000","parameters":{"type":"object","properties":{"\u0000":{}}}}]`, `"\u0000":{}`, ""),
		acceptCase("arguments and output", `"input":[{"type":"function_call","call_id":"c\u0000","name":"f","arguments":"\u0000"},{"type":"function_call_output","call_id":"c\u0000","output":"\u0000"}]`, ``, ""),
		acceptCase("an unknown field", `"client_metadata":{"\u0000":"\u0000"}`, ``, ""),
		ask("model", `"model":"m\u0000"`, "model", "model_not_found", "The model 'm\x00' does not exist").as(http.StatusNotFound),
		ask("previous_response_id", `"previous_response_id":"resp_\u0000"`, "previous_response_id", "previous_response_not_found", ""),
		ask("conversation", `"conversation":"conv_\u0000"`, "conversation", "invalid_value", ""),
		ask("a reference", `"input":[{"type":"item_reference","id":"\u0000"}]`, "input", nil, "Item with id '\x00' not found.").as(http.StatusNotFound),
		bad{name: "an id", method: "GET", path: create + "/resp_%00", status: http.StatusNotFound, message: "Response with id 'resp_\x00' not found."},
		bad{name: "a parameter", method: "GET", path: create + "/{completed}/input_items?after=%00", param: "after", code: "invalid_value"},
		bad{name: "a conversation", path: "/v1/conversations", body: `{"metadata":{"\u0000":"\u0000"},"items":[{"role":"user","content":"\u0000"}]}`, status: http.StatusOK, echo: `"metadata":{"\u0000":"\u0000"}`},
	)
	got := in.call("POST", create, `{"model":"m","background":true,"input":"a\u0000b"}`)
	items := in.call("GET", create+"/"+createdID(t, got)+"/input_items", "")
	if items.status != http.StatusOK || !strings.Contains(string(items.body), `"a\u0000b"`) {
		t.Errorf("a NUL of the input is listed as %d %s", items.status, items.body)
	}
	in.before = in.everything()
}

// as is the case with another status.
func (b bad) as(status int) bad {
	b.status = status
	return b
}

// otherMedia: I6. Nothing is decompressed, so that there is no bomb.
func otherMedia(t *testing.T, in *inputs) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, &endless{}, 64<<20); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, b := range in.bodies() {
		with := func(name string, header http.Header, message string) bad {
			return bad{
				name: b.name + " " + name, path: b.path, body: b.body, header: header, status: http.StatusUnsupportedMediaType,
				code: "unsupported_media_type", message: message,
			}
		}
		kind := func(name, kind string) bad {
			return with(name, http.Header{"Content-Type": {kind}}, fmt.Sprintf("Unsupported Content-Type '%s': use 'application/json'.", kind))
		}
		coded := func(name, encoding string) bad {
			return with(name, http.Header{"Content-Encoding": {encoding}}, fmt.Sprintf("Unsupported Content-Encoding '%s': send the body as it is.", encoding))
		}
		packed := coded("64 MiB in 64 kB", "gzip")
		packed.body = bomb.String()
		in.all(t,
			kind("text", "text/plain"), kind("a form", "application/x-www-form-urlencoded"), kind("XML", "application/xml"),
			kind("JSON of another kind", "application/problem+json"), kind("lines", "application/jsonl"), kind("no type at all", ";;"),
			coded("gzip", "gzip"), coded("two encodings", "br, gzip"), coded("an unknown one", "zstd"), packed,
		)
	}
	for name, header := range map[string]http.Header{
		"a charset":           {"Content-Type": {"application/json; charset=utf-8"}},
		"capitals":            {"Content-Type": {"Application/JSON"}, "Content-Encoding": {"Identity"}},
		"no type, as of curl": {"Content-Type": nil},
	} {
		b := acceptCase(name, `"user":"u"`, `"user":"u"`, "it says no other type")
		b.header = header
		in.all(t, b)
	}
}
