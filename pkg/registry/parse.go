package registry

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Load reads the registry file at path. The error is that of the file, or joins
// a *Fault for each error in it.
func Load(path string) (*Registry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load registry: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a registry from the YAML in data; name is the file in faults. The
// error joins a *Fault for each error, in the file's order. An entry that
// cannot be decoded has only its first error.
func Parse(name string, data []byte) (*Registry, error) {
	p := &parsing{name: name, broken: map[string]bool{}}
	var err error
	if p.file, err = parser.ParseBytes(data, 0); err != nil {
		p.undecodable("", nil, err)
		return nil, join(p.faults)
	}
	file := p.decode()
	r, faults := build(file)
	for _, f := range faults {
		entry, _, _ := strings.Cut(f.Path, ".")
		if !p.broken[entry] { // what it lacks may be what could not be decoded
			p.add(f.Path, p.locate(f.Path), f.Reason)
		}
	}
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b *Fault) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, join(p.faults)
	}
	return r, nil
}

type parsing struct {
	name   string
	file   *ast.File
	dec    *yaml.Decoder // one for all entries: it remembers the anchors
	broken map[string]bool
	faults []*Fault
}

// decode reads entry by entry, so that an error in one does not hide those in
// the next.
func (p *parsing) decode() File {
	// The parser has refused double keys already; the decoder's own check would
	// refuse a key that overrides a merged one.
	p.dec = yaml.NewDecoder(bytes.NewReader(nil),
		yaml.Strict(), yaml.UseOrderedMap(), yaml.AllowDuplicateMapKey())
	var file File
	var root *ast.MappingNode
	if len(p.file.Docs) == 1 {
		root, _ = p.file.Docs[0].Body.(*ast.MappingNode)
	}
	if root == nil {
		p.add("", nil, "want one YAML document with models, tools, limits and tenants")
		return file
	}
	for _, part := range root.Values {
		switch key := part.Key.GetToken().Value; key {
		case "models":
			file.Models = entries[Model](p, key, part.Value)
		case "tools":
			file.Tools = entries[Tool](p, key, part.Value)
		case "limits":
			p.entry(key, part.Value, &file.Limits)
		case "tenants":
			file.Tenants = entries[Tenant](p, key, part.Value)
		default:
			p.add(key, part.Key.GetToken(), "is unknown, want models, tools, limits or tenants")
		}
	}
	return file
}

func entries[T any](p *parsing, path string, node ast.Node) []T {
	if node.Type() == ast.NullType {
		return nil
	}
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		p.add(path, at(node), "is no list")
		return nil
	}
	all := make([]T, len(list.Values))
	for i, entry := range list.Values {
		p.entry(fmt.Sprintf("%s[%d]", path, i), entry, &all[i])
	}
	return all
}

func (p *parsing) entry(path string, node ast.Node, into any) {
	before := len(p.faults)
	if fields, ok := node.(*ast.MappingNode); ok {
		for _, field := range fields.Values {
			p.field(path+"."+field.Key.GetToken().Value, field.Value)
		}
	}
	err := p.dec.DecodeFromNode(node, into)
	if err == nil {
		return
	}
	p.broken[path] = true
	var placed yaml.Error
	if errors.As(err, &placed) || len(p.faults) == before {
		p.undecodable(path, node, err)
	}
}

// field finds what the decoder accepts, a written zero, and what it reports
// without a place, an invalid duration.
func (p *parsing) field(path string, node ast.Node) {
	const zero = "is 0; leave it out for its default"
	switch node := node.(type) {
	case *ast.IntegerNode:
		if fmt.Sprint(node.Value) == "0" && path != "limits.max_tokens" {
			p.add(path, at(node), zero)
		}
	case *ast.FloatNode:
		if node.Value == 0 {
			p.add(path, at(node), zero)
		}
	case *ast.StringNode:
		if !strings.HasSuffix(path, ".timeout") && !strings.HasSuffix(path, ".deadline") {
			return
		}
		if d, err := time.ParseDuration(node.Value); err != nil {
			p.add(path, at(node), "is no duration, such as 90s or 10m")
		} else if d == 0 {
			p.add(path, at(node), zero)
		}
	}
}

// undecodable records the error of the decoder or parser, which has its place.
func (p *parsing) undecodable(path string, node ast.Node, err error) {
	reason, where := err.Error(), at(node)
	var placed yaml.Error
	if errors.As(err, &placed) {
		reason, where = correct(path, placed.GetMessage()), placed.GetToken()
	}
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		reason = fmt.Sprintf("has a %s where a %s belongs", nameOf(wrong.SrcType), nameOf(wrong.DstType))
	}
	p.add(path, where, reason)
}

// nameOf names a Go type as a writer of YAML would.
func nameOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Struct || t.Kind() == reflect.Map:
		return "mapping"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "whole number"
	default:
		return t.Kind().String()
	}
}

func (p *parsing) add(path string, where *token.Token, reason string) {
	f := &Fault{File: p.name, Line: 1, Column: 1, Path: path, Reason: reason}
	if where != nil && where.Position != nil {
		f.Line, f.Column = where.Position.Line, where.Position.Column
	}
	p.faults = append(p.faults, f)
}

// locate finds the node at path, or the closest one around it.
func (p *parsing) locate(path string) *token.Token {
	for path != "" {
		if query, err := yaml.PathString("$." + path); err == nil {
			if node, err := query.FilterFile(p.file); err == nil && node != nil {
				return at(node)
			}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return nil
}

// at is where a node begins; the token of a mapping is its first colon.
func at(node ast.Node) *token.Token {
	if mapping, ok := node.(*ast.MappingNode); ok && len(mapping.Values) > 0 && !mapping.IsFlowStyle {
		return mapping.Values[0].Key.GetToken()
	}
	if node == nil {
		return nil
	}
	return node.GetToken()
}
