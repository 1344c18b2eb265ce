package idempotency

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAccessOfOnceKeys(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]bool{false, true, true, false, false}, []bool{
		isLegalKey(""), isLegalKey("k"), isLegalKey(strings.Repeat("~", 255)), isLegalKey(strings.Repeat("~", 256)), isLegalKey("\x7f"),
	}); diff != "" {
		t.Errorf("isLegalKey (-want +got):\n%s", diff)
	}
}
