package schema

import (
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// keywords check the values of keywords that are not schemas.
var keywords = map[string]func(raw.Value) bool{
	"$id": is(raw.String), "$schema": is(raw.String), "$ref": is(raw.String), "$anchor": is(raw.String),
	"title": is(raw.String), "description": is(raw.String), "format": is(raw.String), "pattern": is(raw.String),
	"type": isType, "enum": is(raw.Array), "required": isNames,
	"properties": is(raw.Object), "patternProperties": is(raw.Object), "dependentSchemas": is(raw.Object),
	"$defs": is(raw.Object), "definitions": is(raw.Object),
	"allOf": isFilled, "anyOf": isFilled, "oneOf": isFilled, "prefixItems": isFilled,
	"minimum": isNumber, "maximum": isNumber, "multipleOf": isNumber,
	"exclusiveMinimum": isBound, "exclusiveMaximum": isBound, "uniqueItems": is(raw.Bool),
	"minLength": isCount, "maxLength": isCount, "minItems": isCount, "maxItems": isCount,
	"minProperties": isCount, "maxProperties": isCount, "minContains": isCount, "maxContains": isCount,
}

func is(kind raw.Kind) func(raw.Value) bool {
	return func(v raw.Value) bool { return v.Kind() == kind }
}

func isNumber(v raw.Value) bool { return v.Kind() == raw.Int || v.Kind() == raw.Decimal }

// isBound accepts booleans, too: draft 4 has a boolean beside the bound.
func isBound(v raw.Value) bool { return isNumber(v) || v.Kind() == raw.Bool }

// isCount accepts 1.0 and 1e3, which are whole, and 1.5, which is harmless.
func isCount(v raw.Value) bool { return isNumber(v) && v[0] != '-' }

func isFilled(v raw.Value) bool {
	for range v.Elements() {
		return true
	}
	return false
}

func isNames(v raw.Value) bool {
	for _, e := range v.Elements() {
		if e.Kind() != raw.String {
			return false
		}
	}
	return v.Kind() == raw.Array
}

func isType(v raw.Value) bool {
	for _, e := range v.Elements() {
		if !isTypeName(e.Text()) {
			return false
		}
	}
	return isTypeName(v.Text()) || isFilled(v)
}

func isTypeName(name string) bool {
	switch name {
	case "array", "boolean", "integer", "null", "number", "object", "string":
		return true
	}
	return false
}
