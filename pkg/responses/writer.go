package responses

import (
	"strconv"

	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
)

// writer appends members of an object, each after a comma.
type writer struct {
	b []byte
}

func (w *writer) key(name string) {
	w.b = append(w.b, ',', '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) null() { w.b = append(w.b, "null"...) }

func (w *writer) text(name, s string) {
	w.key(name)
	w.b = raw.AppendText(w.b, s)
}

func (w *writer) nullable(name, s string) {
	w.key(name)
	w.b = raw.AppendTextOrNull(w.b, s)
}

// appendText writes a text unless it is empty.
func (w *writer) appendText(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) bool(name string, v bool) {
	w.key(name)
	w.b = strconv.AppendBool(w.b, v)
}

func (w *writer) integer(name string, n *int) {
	w.key(name)
	if n == nil {
		w.null()
		return
	}
	w.b = strconv.AppendInt(w.b, int64(*n), 10)
}

func (w *writer) number(name string, f *float64, other string) {
	w.key(name)
	if f == nil {
		w.b = append(w.b, other...)
		return
	}
	w.b = strconv.AppendFloat(w.b, *f, 'g', -1, 64)
}

func (w *writer) items(name string, items []item.Item) {
	w.key(name)
	w.b = append(w.b, '[')
	for i, it := range items {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(w.b, it.JSON()...)
	}
	w.b = append(w.b, ']')
}
