package dev

import (
	"reflect"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
)

func TestModelProfileTakesEveryProfile(t *testing.T) {
	t.Parallel()
	field, ok := reflect.TypeFor[Command]().FieldByName("ModelProfile")
	if want := "," + strings.Join(registry.Profiles(), ","); !ok || field.Tag.Get("enum") != want {
		t.Errorf("--model-profile takes %q, want %q", field.Tag.Get("enum"), want)
	}
}
