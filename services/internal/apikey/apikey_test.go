package apikey

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
)

var pepper = Pepper("0123456789abcdef")

func TestNewAs(t *testing.T) {
	t.Parallel()
	p := Pepper("0123456789abcdef")
	seed := []byte("a seed of sixteen")
	one, two, other := p.NewAs(seed), p.NewAs(seed), p.NewAs(append(seed[:10:10], "another"...))
	if one.ID != two.ID || one.ID == other.ID || one.Secret == two.Secret {
		t.Errorf("of one seed there are %s and %s, of another %s; want one id with two secrets, and another id", one, two, other)
	}
	if got, ok := p.Read(one.String()); !ok || got != one || !IsID(one.ID) || IsID(one.Secret) || IsID("") {
		t.Errorf("Read = %+v, %v, want %+v", got, ok, one)
	}
}

func TestKeyIsReadAsMade(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		k := pepper.New()
		if got, ok := pepper.Read(k.String()); !ok || got != k {
			t.Fatalf("Read(%s) = %+v, %v; want %+v", k, got, ok, k)
		}
		if !pepper.Holds(pepper.Hash(k.Secret), k.Secret) {
			t.Fatalf("the hash of %s is not its own", k)
		}
		if seen[k.ID] || seen[k.Secret] {
			t.Fatalf("%s was drawn twice", k)
		}
		seen[k.ID], seen[k.Secret] = true, true
	}
}

func TestWhatWasNotMadeIsRefused(t *testing.T) {
	t.Parallel()
	k := pepper.New()
	good := k.String()
	other := Pepper("another pepper of length").New()
	last := "a"
	if strings.HasSuffix(k.ID, last) {
		last = "b"
	}
	for name, text := range map[string]string{
		"empty":            "",
		"prefix":           "wl_",
		"other prefix":     "sk_" + good[3:],
		"cut short":        good[:len(good)-1],
		"too long":         good + "a",
		"capitals":         strings.ToUpper(good),
		"capital secret":   good[:len(good)-52] + strings.ToUpper(good[len(good)-52:]),
		"no second dash":   good[:19] + "a" + good[20:],
		"foreign letter":   good[:len(good)-1] + "\xff",
		"NUL":              good[:len(good)-1] + "\x00",
		"made-up id":       Key{ID: "aaaaaaaaaaaaaaaa", Secret: k.Secret}.String(),
		"changed proof":    Key{ID: k.ID[:idLen-1] + last, Secret: k.Secret}.String(),
		"another pepper's": other.String(),
	} {
		if got, ok := pepper.Read(text); ok {
			t.Errorf("%s: Read(%q) = %+v, want a refusal", name, text, got)
		}
	}
	if pepper.Holds(pepper.Hash(k.Secret), other.Secret) || pepper.Holds(Pepper("another pepper of length").Hash(k.Secret), k.Secret) {
		t.Error("a hash is another secret's or another pepper's, too")
	}
	if bytes.Contains(pepper.Hash(k.Secret), []byte(k.Secret)) {
		t.Error("the hash shows the secret")
	}
}

func TestShortPepperIsRefused(t *testing.T) {
	t.Parallel()
	if err := Pepper("0123456789abcde").Check(); !errors.Is(err, ErrShortPepper) {
		t.Errorf("Check of 15 bytes = %v, want ErrShortPepper", err)
	}
	if err := pepper.Check(); err != nil {
		t.Errorf("Check of 16 bytes = %v, want nil", err)
	}
}

// During a rotation gateways with the old and the new list serve side by side.
func TestRotatedPepperAcceptsKeysOfBothSecrets(t *testing.T) {
	t.Parallel()
	before, added := Pepper("0123456789abcdef"), Pepper("0123456789abcdef, fedcba9876543210")
	first, after := Pepper("fedcba9876543210,0123456789abcdef"), Pepper("fedcba9876543210")
	for name, tt := range map[string]struct {
		by, to Pepper
		want   bool
	}{
		"step 1, old to new": {before, added, true}, "step 1, new to old": {added, before, true},
		"step 2, old to new": {added, first, true}, "step 2, new to old": {first, added, true},
		"step 3, a new key": {first, after, true}, "step 3, back": {after, first, true},
		"an old key at the end": {before, after, false},
	} {
		k := tt.by.New()
		_, read := tt.to.Read(k.String())
		if held := tt.to.Holds(tt.by.Hash(k.Secret), k.Secret); read != tt.want || held != tt.want {
			t.Errorf("%s: Read = %v, Holds = %v, want %v", name, read, held, tt.want)
		}
	}
	for _, bad := range []string{"", ",", "0123456789abcdef,", ",0123456789abcdef", "0123456789abcdef,short"} {
		if !errors.Is(Pepper(bad).Check(), ErrShortPepper) {
			t.Errorf("Check of %q = nil, want ErrShortPepper", bad)
		}
	}
	if err := added.Check(); err != nil {
		t.Error(err)
	}
}

// A pepper from a file may end with a newline; its keys must stay valid.
func TestAPepperAloneIsAllOfItsBytes(t *testing.T) {
	t.Parallel()
	h := hmac.New(sha256.New, []byte("0123456789abcdef\n"))
	h.Write([]byte("secret"))
	if !Pepper("0123456789abcdef\n").Holds(h.Sum(nil), "secret") {
		t.Error("Holds = false for the hash under all bytes of the pepper")
	}
}

func TestCheckTenant(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"default": true, "a": true, "4-you_2": true, strings.Repeat("a", 63): true,
		"": false, "-a": false, "_a": false, "a.b": false, "A": false, "a b": false, "ä": false, "a\n": false, strings.Repeat("a", 64): false,
	} {
		if err := CheckTenant(name); (err == nil) != want {
			t.Errorf("CheckTenant(%q) = %v, want ok %v", name, err, want)
		}
	}
}

// Whatever is read is written the same way, and the proof belongs to it.
func FuzzRead(f *testing.F) {
	f.Add(pepper.New().String())
	f.Add("wl_aaaaaaaaaaaaaaaa_" + strings.Repeat("a", secretLen))
	f.Add("Bearer wl__")
	f.Fuzz(func(t *testing.T, text string) {
		k, ok := pepper.Read(text)
		if !ok {
			if k != (Key{}) {
				t.Errorf("Read(%q) refused and gave %+v", text, k)
			}
			return
		}
		if k.String() != text {
			t.Errorf("Read(%q) is written %q", text, k)
		}
		if !strings.HasSuffix(k.ID, proofOf(pepper, k.ID[:drawn])) {
			t.Errorf("Read(%q) took an id without its proof", text)
		}
	})
}

func BenchmarkRefuse(b *testing.B) {
	forged := Key{ID: "aaaaaaaaaaaaaaaa", Secret: pepper.New().Secret}.String()
	for b.Loop() {
		if _, ok := pepper.Read(forged); ok {
			b.Fatal("a made-up id was taken")
		}
	}
}
