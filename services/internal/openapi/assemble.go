package openapi

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/goccy/go-yaml"
)

const schemaPrefix = "#/components/schemas/"

// object is a JSON or YAML object.
type object = map[string]any

// assemble merges the YAML files of a tree, each a part of one document, and
// adds the schemas of the specification that they refer to.
func assemble(tree fs.FS, specification []byte) ([]byte, error) {
	doc := object{}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		var part object
		if err := yaml.Unmarshal(text, &part); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := merge(doc, part); err != nil {
			return fmt.Errorf("add %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("assemble the OpenAPI document: %w", err)
	}
	takeKeys(doc)
	if err := adopt(doc, specification); err != nil {
		return nil, fmt.Errorf("assemble the OpenAPI document: %w", err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return text, nil
}

// merge adds the members of from that are missing. The members of two objects
// are merged; any other duplicate is an error.
func merge(into, from object) error {
	for name, value := range from {
		there, twice := into[name]
		if !twice {
			into[name] = value
			continue
		}
		a, isObject := there.(object)
		b, areObjects := value.(object)
		if !isObject || !areObjects {
			return fmt.Errorf("%s is there twice", name)
		}
		if err := merge(a, b); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// takeKeys adds Idempotency-Key to every POST, because the router handles it
// for all routes.
func takeKeys(doc object) {
	paths, _ := doc["paths"].(object)
	for _, path := range paths {
		methods, _ := path.(object)
		if post, ok := methods["post"].(object); ok {
			parameters, _ := post["parameters"].([]any)
			post["parameters"] = append(parameters, object{"$ref": "#/components/parameters/IdempotencyKey"})
		}
	}
}

// adopt copies the schemas that are referred to and not defined.
func adopt(doc object, specification []byte) error {
	var theirs struct {
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(specification, &theirs); err != nil {
		return fmt.Errorf("read the specification: %w", err)
	}
	components, _ := doc["components"].(object)
	ours, ok := components["schemas"].(object)
	if !ok {
		return fmt.Errorf("there is no components.schemas")
	}
	open := refs(doc, nil)
	for len(open) > 0 {
		name := open[len(open)-1]
		open = open[:len(open)-1]
		if ours[name] != nil {
			continue
		}
		schema, ok := theirs.Components.Schemas[name]
		if !ok {
			return fmt.Errorf("there is no schema %s", name)
		}
		dropExamples(schema)
		ours[name] = schema
		open = refs(schema, open)
	}
	return nil
}

// refs appends the names of all schemas that a value refers to.
func refs(value any, names []string) []string {
	switch v := value.(type) {
	case object:
		for key, member := range v {
			if ref, ok := member.(string); ok && key == "$ref" {
				if name, ok := strings.CutPrefix(ref, schemaPrefix); ok {
					names = append(names, name)
				}
				continue
			}
			names = refs(member, names)
		}
	case []any:
		for _, element := range v {
			names = refs(element, names)
		}
	}
	return names
}

// dropExamples removes the examples of a schema: some of the specification's
// are invalid.
func dropExamples(schema any) {
	switch v := schema.(type) {
	case object:
		delete(v, "example")
		for key, member := range v {
			properties, isObject := member.(object)
			if key != "properties" || !isObject {
				dropExamples(member)
				continue
			}
			for _, property := range properties { // a property may well be named example
				dropExamples(property)
			}
		}
	case []any:
		for _, element := range v {
			dropExamples(element)
		}
	}
}
