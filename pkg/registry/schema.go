package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

const (
	maxFaultsShown = 3   // of one call's arguments, to the model
	maxShownBytes  = 400 // of the message about them
)

// ErrArguments reports that a call's arguments do not match its tool's
// parameters. The text of an error that wraps it is fit for the model to read.
var ErrArguments = errors.New("invalid arguments")

// Schema is a JSON Schema (2020-12 by default) as JSON text. It may refer to
// itself, not to other documents.
type Schema []byte

// UnmarshalYAML reads a schema written as YAML and keeps its keys in order:
// models read properties from the top.
func (s *Schema) UnmarshalYAML(unmarshal func(any) error) error {
	var doc any
	if err := unmarshal(&doc); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := writeJSON(&out, doc); err != nil {
		return err
	}
	*s = out.Bytes()
	return nil
}

// writeJSON writes what the YAML decoder built with ordered maps.
func writeJSON(out *bytes.Buffer, doc any) error {
	switch doc := doc.(type) {
	case yaml.MapSlice:
		out.WriteByte('{')
		for i, item := range doc {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeJSON(out, fmt.Sprint(item.Key)); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := writeJSON(out, item.Value); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	case []any:
		out.WriteByte('[')
		for i, item := range doc {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeJSON(out, item); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	default:
		text, err := json.Marshal(doc)
		if err != nil {
			return fmt.Errorf("write schema as JSON: %w", err)
		}
		out.Write(text)
	}
	return nil
}

// validator is a compiled schema; the zero one accepts nothing.
type validator struct{ schema *jsonschema.Schema }

func (s Schema) compile() (validator, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s))
	if err != nil {
		return validator{}, fmt.Errorf("is not JSON: %w", err)
	}
	if object, ok := doc.(map[string]any); !ok || object["type"] != "object" {
		return validator{}, errors.New("is not a schema of type object")
	}
	const url = "schema:parameters"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(url, doc); err != nil {
		return validator{}, fmt.Errorf("is no JSON Schema: %w", err)
	}
	schema, err := compiler.Compile(url)
	if err != nil {
		var mismatch *jsonschema.SchemaValidationError
		if errors.As(err, &mismatch) { // has no Unwrap
			err = mismatch.Err
		}
		var invalid *jsonschema.ValidationError
		if errors.As(err, &invalid) {
			return validator{}, fmt.Errorf("is no JSON Schema: %s", summarize(invalid))
		}
		return validator{}, fmt.Errorf("is no JSON Schema: %w", err)
	}
	return validator{schema}, nil
}

// noLoader keeps a schema from reading files, which is the compiler's default.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("refers to another document, %s", url)
}

func (v validator) validate(arguments []byte) error {
	if v.schema == nil {
		return fmt.Errorf("%w: the tool's schema is not compiled", ErrArguments)
	}
	if len(bytes.TrimSpace(arguments)) == 0 {
		return fmt.Errorf("%w: they are missing, want a JSON object", ErrArguments)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(arguments))
	if err != nil {
		return fmt.Errorf("%w: not JSON: %s", ErrArguments, cut(err.Error()))
	}
	err = v.schema.Validate(doc)
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return fmt.Errorf("%w: %s", ErrArguments, summarize(invalid))
	}
	return err
}

// summarize puts the innermost errors of err into one short line.
func summarize(err *jsonschema.ValidationError) string {
	printer := message.NewPrinter(language.English)
	var faults []string
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if extra, ok := e.ErrorKind.(*kind.AdditionalProperties); ok {
			slices.Sort(extra.Properties) // the validator walks maps: the order would change
		}
		if len(e.Causes) == 0 {
			at := "/" + strings.Join(e.InstanceLocation, "/")
			faults = append(faults, "at "+at+": "+e.ErrorKind.LocalizedString(printer))
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(err)
	slices.Sort(faults)
	faults = slices.Compact(faults)
	if more := len(faults) - maxFaultsShown; more > 0 {
		faults = append(faults[:maxFaultsShown], fmt.Sprintf("and %d more", more))
	}
	return cut(strings.Join(faults, "; "))
}

// cut shortens text to maxShownBytes and keeps it valid UTF-8.
func cut(text string) string {
	if len(text) <= maxShownBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxShownBytes], "") + "…"
}
