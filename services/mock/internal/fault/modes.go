// Package fault is what can go wrong with a scripted call. A new mode is an
// entry in modes.
package fault

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"windlass.dev/windlass/services/mock/internal/exchange"
)

// Mode is a way to fail.
type Mode struct {
	Name, Help string

	// answer sends something else than the right answer.
	answer func(Fault, *exchange.Exchange, exchange.Answer)
	// A mode without answer adds this text to the right reply, or fills it up
	// to the fault's size, by default this one.
	add  string
	size int
}

// Modes returns all modes, in the order of the help.
func Modes() []Mode { return modes }

var modes = []Mode{
	{Name: "", Help: "answer status with body, or with an API error", answer: answerStatus},
	{Name: "hang", Help: "send nothing until the client leaves", answer: hang},
	{Name: "reset", Help: "reset the connection after bytes of the reply, or before any", answer: reset},
	{Name: "malformed", Help: "a reply that is not JSON", answer: sendMalformed},
	{Name: "truncate", Help: "half of the reply: JSON breaks off, a stream ends without [DONE]", answer: truncate},
	{Name: "empty", Help: "no choices, or no body", answer: sendEmpty},
	{Name: "html", Help: "an error page", answer: sendErrorPage},
	{Name: "nul", Help: "the right reply, with a NUL in its text", add: "a\x00b"},
	{Name: "big", Help: "the right reply, made bytes long (10 MB; -1: endless, tools only)", size: 10 << 20},
	{Name: "drip", Help: "the right reply, bytes a second (1)", answer: drip},
	{Name: "redirect", Help: "to body, or to itself", answer: redirect},
	{Name: "binary", Help: "bytes that are not text (256)", answer: sendBinary},
	{Name: "headers", Help: "the right reply, with bytes of headers (64 kB) and cookies", answer: sendManyHeaders},
}

// send sends the fault's body, or else this one.
func (f Fault) send(x *exchange.Exchange, contentType string, body []byte) {
	if f.Body != "" {
		body = []byte(f.Body)
	}
	x.Send(f.StatusOr(http.StatusOK), contentType, body)
}

// answerStatus sends a status with the fault's body, or with an API error.
func answerStatus(f Fault, x *exchange.Exchange, right exchange.Answer) {
	status := f.StatusOr(http.StatusInternalServerError)
	if f.Body == "" {
		message := fmt.Sprintf("The plan has the mock answer %d.", status)
		x.Send(status, exchange.JSON, exchange.ErrorBody(status, message, ""))
		return
	}
	contentType := exchange.JSON
	if status < 300 {
		contentType = right.ContentType
	}
	x.Send(status, contentType, []byte(f.Body))
}

func hang(_ Fault, x *exchange.Exchange, _ exchange.Answer) { x.Hang() }

func reset(f Fault, x *exchange.Exchange, right exchange.Answer) {
	if f.Bytes > 0 {
		x.Head(f.StatusOr(http.StatusOK), right.ContentType, right.Length())
		if !x.Write(right.Body[:min(f.Bytes, len(right.Body))]) || !x.Flush() {
			return
		}
	}
	x.Reset()
}

// truncate sends half of the answer. Of a stream, only the missing [DONE] shows
// it.
func truncate(f Fault, x *exchange.Exchange, right exchange.Answer) {
	x.Head(f.StatusOr(http.StatusOK), right.ContentType, right.Length())
	x.Write(right.Body[:len(right.Body)/2])
}

func sendMalformed(f Fault, x *exchange.Exchange, right exchange.Answer) {
	body := `{"id":"mock","choices":[{"message":`
	if right.ContentType == exchange.Stream {
		body = "data: {\"id\":\"mock\",\"choices\":[{\"delta\":\n\ndata: [DONE]\n\n"
	}
	f.send(x, right.ContentType, []byte(body))
}

func sendEmpty(f Fault, x *exchange.Exchange, right exchange.Answer) {
	f.send(x, right.ContentType, right.Empty)
}

func sendErrorPage(f Fault, x *exchange.Exchange, _ exchange.Answer) {
	const page = "<!DOCTYPE html><html><head><title>Bad Gateway</title></head>" +
		"<body><h1>Bad Gateway</h1></body></html>\n"
	f.send(x, "text/html; charset=utf-8", []byte(page))
}

// sendBinary sends bytes that start like no UTF-8 text and have a NUL.
func sendBinary(f Fault, x *exchange.Exchange, _ exchange.Answer) {
	body := make([]byte, max(0, f.bytesOr(256)))
	for i := range body {
		body[i] = byte(255 - i)
	}
	f.send(x, "application/octet-stream", body)
}

func drip(f Fault, x *exchange.Exchange, right exchange.Answer) {
	x.Head(f.StatusOr(http.StatusOK), right.ContentType, right.Length())
	if !x.Flush() {
		return
	}
	interval := time.Second / time.Duration(max(1, f.bytesOr(1)))
	for i := range right.Body {
		if !x.Wait(interval) || !x.Write(right.Body[i:i+1]) || !x.Flush() {
			return
		}
	}
}

func redirect(f Fault, x *exchange.Exchange, _ exchange.Answer) {
	target := f.Body
	if target == "" {
		target = x.Request.URL.Path
	}
	x.Writer.Header().Set("Location", target)
	x.Head(f.StatusOr(http.StatusTemporaryRedirect), "", 0)
}

func sendManyHeaders(f Fault, x *exchange.Exchange, right exchange.Answer) {
	filler := strings.Repeat("h", 1000)
	for n := 0; n < f.bytesOr(64<<10); n += len(filler) {
		x.Writer.Header().Set(fmt.Sprintf("X-Mock-Filler-%d", n/len(filler)), filler)
	}
	for n := range 3 {
		x.Writer.Header().Add("Set-Cookie", fmt.Sprintf("mock%d=stay-out; Path=/", n))
	}
	x.Send(f.StatusOr(http.StatusOK), right.ContentType, right.Body)
}
