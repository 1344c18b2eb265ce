package compaction

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/responses/item"
)

const (
	first  = "the first secret"
	second = "the second secret"
)

func keys(tb testing.TB, text string) Keys {
	tb.Helper()
	k, err := ReadKeys(text)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func seal(tb testing.TB, k Keys, tenant string, c Content) string {
	tb.Helper()
	sealed, err := k.Seal(tenant, c)
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}

func TestWhatIsSealedIsOpened(t *testing.T) {
	t.Parallel()
	kept, fault := item.List([]byte(`[{"role":"developer","content":"Be brief."},{"role":"user","content":[{"type":"input_image","image_url":"data:x"}]}]`), "")
	if fault != nil {
		t.Fatal(fault)
	}
	k := keys(t, first)
	for name, c := range map[string]Content{"a summary": {Summary: "They met.\x00 \u2028"}, "and what is kept": {Summary: "S", Kept: kept}} {
		sealed := seal(t, k, "acme", c)
		if strings.Contains(sealed, "They") || sealed == seal(t, k, "acme", c) {
			t.Errorf("%s: sealed as %s, and again alike", name, sealed)
		}
		got, err := k.Open("acme", sealed)
		if err != nil || got.Summary != c.Summary || len(got.Kept) != len(c.Kept) {
			t.Errorf("%s: opened as %+v, %v", name, got, err)
			continue
		}
		for i, it := range got.Kept {
			if string(it.JSON()) != string(c.Kept[i].JSON()) || it.Role != c.Kept[i].Role {
				t.Errorf("%s: kept %s as %s", name, c.Kept[i].JSON(), it.JSON())
			}
		}
	}
}

func TestWhatIsNotOpened(t *testing.T) {
	t.Parallel()
	k := keys(t, first)
	sealed := seal(t, k, "acme", Content{Summary: "S"})
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int) string {
		b := append([]byte(nil), raw...)
		b[at] ^= 1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	for name, tt := range map[string]struct {
		keys   Keys
		tenant string
		text   string
		want   error
	}{
		"another tenant's":        {k, "acme2", sealed, ErrSealed},
		"nobody's":                {k, "", sealed, ErrSealed},
		"of another secret":       {keys(t, second), "acme", sealed, ErrSealed},
		"of another version":      {k, "acme", changed(0), ErrSealed},
		"with another nonce":      {k, "acme", changed(1), ErrSealed},
		"changed":                 {k, "acme", changed(20), ErrSealed},
		"with another tag":        {k, "acme", changed(len(raw) - 1), ErrSealed},
		"cut off":                 {k, "acme", sealed[:len(sealed)-4], ErrSealed},
		"the version alone":       {k, "acme", "AQ", ErrSealed},
		"nothing":                 {k, "acme", "", ErrSealed},
		"not base64":              {k, "acme", "{" + sealed, ErrSealed},
		"somebody else's":         {k, "acme", "gAAAAABpM0Yj-abc", ErrSealed},
		"anything without secret": {Keys{}, "acme", sealed, ErrNoKey},
	} {
		if got, err := tt.keys.Open(tt.tenant, tt.text); !errors.Is(err, tt.want) || got.Summary != "" {
			t.Errorf("%s: opened as %+v, %v; want %v", name, got, err, tt.want)
		}
	}
	if _, err := (Keys{}).Seal("acme", Content{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("sealed without a secret: %v", err)
	}
}

func TestSecretsChange(t *testing.T) {
	t.Parallel()
	old := seal(t, keys(t, first), "acme", Content{Summary: "old"})
	both := keys(t, second+" , "+first)
	fresh := seal(t, both, "acme", Content{Summary: "new"})
	for sealed, want := range map[string]string{old: "old", fresh: "new"} {
		if got, err := both.Open("acme", sealed); err != nil || got.Summary != want {
			t.Errorf("with both secrets %s is %+v, %v", want, got, err)
		}
	}
	if _, err := keys(t, first).Open("acme", fresh); !errors.Is(err, ErrSealed) {
		t.Errorf("the second of two secrets seals: %v", err)
	}
}

func TestReadKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"": nil, first: nil, first + "," + second: nil,
		"short": ErrShortKey, first + ",": ErrShortKey, first + ",short": ErrShortKey, "               x": ErrShortKey,
	} {
		if k, err := ReadKeys(text); !errors.Is(err, want) || k.Any() != (want == nil && text != "") {
			t.Errorf("ReadKeys(%q) = any %v, %v; want %v", text, k.Any(), err, want)
		}
	}
}

func TestWhatAModelIsShown(t *testing.T) {
	t.Parallel()
	kept, fault := item.List([]byte(`[{"role":"developer","content":"Be brief."}]`), "")
	if fault != nil {
		t.Fatal(fault)
	}
	shown := Content{Kept: kept, Summary: "They met."}.Items()
	if len(shown) != 2 || shown[0].Role != "developer" || shown[1].Role != "user" || shown[1].Type != "message" {
		t.Fatalf("shown %+v, want what was kept and a message of the user", shown)
	}
	if _, fault := item.Parse(shown[1].JSON()); fault != nil {
		t.Errorf("the summary is no item: %v", fault)
	}
	if text := shown[1].Parts()[0].Text; !strings.Contains(text, "<conversation_summary>\nThey met.\n</conversation_summary>") {
		t.Errorf("the summary is shown as %q", text)
	}
}
