package cost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/prometheus/client_golang/prometheus"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses"
)

// TestTheCostOfABody holds that what is alive after a body was decoded, the
// body included, is at most its cost, and at most 14 times the body. What the
// decoder drops on its way is garbage, for which the process has the other half
// of its memory.
func TestTheCostOfABody(t *testing.T) { //nolint:paralleltest // measures the heap
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const size = 4 << 20
	list := func(before, one, after string) string {
		n := (size - len(before) - len(after)) / (len(one) + 1)
		return before + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + after
	}
	var members strings.Builder
	members.WriteString(`{"model":"m","input":"a"`)
	for i := 0; members.Len() < size; i++ {
		fmt.Fprintf(&members, `,"%d":1`, i)
	}
	members.WriteString("}")
	for name, body := range map[string]string{
		"one string":     `{"model":"m","input":"` + strings.Repeat("x", size) + `"}`,
		"escapes":        `{"model":"m","input":"` + strings.Repeat(`\n`, size/2) + `"}`,
		"messages":       list(`{"model":"m","input":[`, `{"role":"user","content":"a"}`, `]}`),
		"parts":          list(`{"model":"m","input":[{"role":"user","content":[`, `{"type":"input_text","text":"a"}`, `]}]}`),
		"smallest items": list(`{"model":"m","previous_response_id":"resp_0","input":[`, `{"type":"x"}`, `]}`),
		"numbers":        list(`{"model":"m","input":"a","x":[`, `1`, `]}`),
		"many members":   members.String(),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		b := []byte(body)
		c, _ := responses.Decode(b)
		runtime.GC()
		runtime.ReadMemStats(&after)
		if got, want := int64(after.HeapAlloc)-int64(before.HeapAlloc), worst(name, b); got > want {
			t.Errorf("%s: %d bytes of JSON hold %d, charged are %d", name, len(b), got, want)
		}
		runtime.KeepAlive(c)
		runtime.KeepAlive(b)
	}
}

// worst returns what a body may hold.
func worst(name string, body []byte) int64 {
	if name == "smallest items" {
		return int64(14 * len(body))
	}
	return Of(body)
}

func TestReadChargesWhatArrives(t *testing.T) {
	t.Parallel()
	b := budget.New(120<<20, prometheus.NewRegistry())
	for _, size := range []int{0, 1, 4095, 4096, 4097, 70_000, 3_000_000} {
		for _, hint := range []int64{-1, int64(size)} {
			l := b.Open(budget.Body, "a", "k")
			want := bytes.Repeat([]byte("x,"), size/2)
			got, err := Read(t.Context(), l, iotest.HalfReader(bytes.NewReader(want)), hint)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, hint %d: read %d, %v", size, hint, len(got), err)
			}
			if l.Size() < Of(want) {
				t.Errorf("%d bytes, hint %d: charged %d, want %d", size, hint, l.Size(), Of(want))
			}
			l.Close()
		}
	}
	half := b.Open(budget.Body, "a", "k")
	defer half.Close()
	broken := io.MultiReader(bytes.NewReader(make([]byte, 5<<20)), iotest.ErrReader(errors.New("stalled")))
	if _, err := Read(t.Context(), half, broken, 9<<20); err == nil || half.Size() < 5<<20 || half.Size() > 7<<20 {
		t.Errorf("5 MiB of 9 are charged with %d bytes (%v)", half.Size(), err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	none := budget.New(12<<20, prometheus.NewRegistry()).Open(budget.Body, "a", "k")
	defer none.Close()
	if _, err := Read(gone, none, bytes.NewReader(make([]byte, 9<<20)), -1); err == nil {
		t.Error("a body beyond the share was read")
	}
}
