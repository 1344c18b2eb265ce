// Package decode is `windlass decode`: it makes the messages of the bus
// readable in the nats CLI.
package decode

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// maxMessage is the largest message that the bus accepts.
const maxMessage = 8 << 20

// Command prints one message.
type Command struct {
	Subject string `help:"The message's subject ({{Subject}} in a translate command). It determines the type." placeholder:"SUBJECT"`
}

// Help is shown by windlass decode --help.
func (Command) Help() string {
	return `Reads one message's body from standard input and prints it as JSON, one line:

  nats stream view WINDLASS_STEP --translate 'windlass decode --subject {{Subject}}'
  nats sub --stream WINDLASS_STEP --all --translate 'windlass decode --subject {{Subject}}'

Without a subject it decodes a step event, which is what WINDLASS_STEP and WINDLASS_MARK have.
Advisories of NATS, which WINDLASS_DEAD has beside dead letters, are JSON and printed unchanged.`
}

// Run decodes standard input to standard output.
func (c *Command) Run() error {
	body, err := io.ReadAll(io.LimitReader(os.Stdin, maxMessage))
	if err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	text, err := decode(c.Subject, body)
	if err != nil {
		return err
	}
	_, err = fmt.Println(text)
	return err
}

func decode(subject string, body []byte) (string, error) {
	if isAdvisory(subject, body) {
		var line bytes.Buffer
		if err := json.Compact(&line, body); err != nil {
			return "", fmt.Errorf("read %d bytes as JSON: %w", len(body), err)
		}
		return line.String(), nil
	}
	m := messageOf(subject)
	if err := proto.Unmarshal(body, m); err != nil {
		return "", fmt.Errorf("decode %d bytes as %s: %w", len(body), m.ProtoReflect().Descriptor().FullName(), err)
	}
	b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("print the message: %w", err)
	}
	return readable(b)
}

// isAdvisory reports whether a message is the NATS server's own, which is JSON.
// No message of Windlass begins with a brace.
func isAdvisory(subject string, body []byte) bool {
	return strings.HasPrefix(subject, "$") || bytes.HasPrefix(body, []byte("{")) && json.Valid(body)
}

// readable shows payloads as text and hashes in hexadecimal; protobuf's JSON
// has base64 for both.
func readable(message []byte) (string, error) {
	var fields map[string]any
	if err := json.Unmarshal(message, &fields); err != nil {
		return "", fmt.Errorf("print the message: %w", err)
	}
	reword(fields)
	b, err := json.Marshal(fields)
	if err != nil {
		return "", fmt.Errorf("print the message: %w", err)
	}
	return string(b), nil
}

func reword(fields map[string]any) {
	for name, value := range fields {
		switch value := value.(type) {
		case map[string]any:
			reword(value)
		case []any:
			for _, v := range value {
				if fields, ok := v.(map[string]any); ok {
					reword(fields)
				}
			}
		case string:
			raw, err := base64.StdEncoding.DecodeString(value)
			switch {
			case err != nil:
			case name == "output" || name == "arguments" || name == "data":
				fields[name] = string(raw)
			case name == "input_hash":
				fields[name] = hex.EncodeToString(raw)
			case name == "dispatch_token":
				delete(fields, name) // useless to a reader, and a secret: it proves a command
			}
		}
	}
}

// messageOf returns the type that the subject's second token names; the first
// token is the installation's prefix.
func messageOf(subject string) proto.Message {
	family := ""
	if tokens := strings.Split(subject, "."); len(tokens) > 1 {
		family = tokens[1]
	}
	switch family {
	case "turn":
		return &stepv1.TurnCommand{}
	case "tool":
		return &stepv1.ToolCommand{}
	case "final":
		return &stepv1.FinalCommand{}
	case "dead":
		return &stepv1.DeadLetter{}
	case "live", "tail":
		return &stepv1.LiveFrames{}
	case "ask":
		return &stepv1.ToolQuestion{}
	}
	return &stepv1.StepEvent{}
}
