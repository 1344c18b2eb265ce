package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Answer fails the test unless the document describes such an answer to such a
// request. Of event streams and other types only the type is checked. A request
// that the document does not have must have been answered with 404 or 405.
func Answer(tb testing.TB, r *http.Request, status int, header http.Header, body []byte) {
	tb.Helper()
	if err := read(tb).check(r, status, header, body); err != nil {
		tb.Errorf("%s %s answered %d: %v\n%s", r.Method, r.URL.Path, status, err, body[:min(len(body), 4000)])
	}
}

var errUndescribed = errors.New("not described")

func (d *document) check(r *http.Request, status int, header http.Header, body []byte) error {
	op, ok := d.find(r)
	if !ok {
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
			return nil
		}
		return fmt.Errorf("the route is %w", errUndescribed)
	}
	name := strconv.Itoa(status)
	if !slices.Contains(op.Statuses, name) && status >= http.StatusBadRequest {
		name = "default"
	}
	response := d.child(d.child(op.node, "responses"), name)
	if response.object == nil {
		return fmt.Errorf("the status is %w", errUndescribed)
	}
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("content type %q: %w", header.Get("Content-Type"), err)
	}
	media := d.child(d.child(response, "content"), kind)
	if media.object == nil {
		return fmt.Errorf("the content type %s is %w", kind, errUndescribed)
	}
	if kind != "application/json" {
		return nil
	}
	schema, err := d.compile(d.child(media, "schema").pointer)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// find is the operation that a request is for.
func (d *document) find(r *http.Request) (Operation, bool) {
	_, path := d.mux.Handler(r)
	path = strings.ReplaceAll(path, "...}", "}") // see pattern
	at := slices.IndexFunc(d.operations, func(op Operation) bool { return op.Path == path && op.Method == r.Method })
	if at < 0 {
		return Operation{}, false
	}
	return d.operations[at], true
}

// compile compiles the schema at a JSON pointer, once.
func (d *document) compile(pointer string) (*jsonschema.Schema, error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if s := d.compiled[pointer]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(resource + pointer)
	if err == nil {
		d.compiled[pointer] = s
	}
	return s, err
}
