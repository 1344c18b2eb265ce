package render

import "testing"

func TestErrorThatIsNotJSONIsShownAsText(t *testing.T) {
	t.Parallel()
	if got := string(*jsonOrText([]byte("bad\x00"))); got != `"bad`+"\ufffd"+`"` {
		t.Errorf("jsonOrText = %s", got)
	}
	if jsonOrText(nil) != nil {
		t.Error("jsonOrText(nil) is not null")
	}
}
