package keys_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/test/program"
)

const keysRegistry = `
models:
  - name: demo
    upstream: {url: http://127.0.0.1:1/v1}
  - name: x
    upstream: {url: http://127.0.0.1:1/v1}
tools:
  - {name: get_weather, description: d, url: http://127.0.0.1:1/, parameters: {type: object}}
  - {name: x, description: d, url: http://127.0.0.1:1/, parameters: {type: object}}
`

func TestKeysOfTenants(t *testing.T) {
	t.Parallel()
	data := program.DataDir(t)
	d := program.StartDev(t, data)
	kept := func(name string) string {
		path := filepath.Join(data, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v; want it closed to others", name, info.Mode(), err)
		}
		return string(text)
	}
	names := filepath.Join(t.TempDir(), "registry.yaml") // the gateway's, and names that it does not have
	if err := os.WriteFile(names, []byte(keysRegistry), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"WINDLASS_REGISTRY=" + names, "WINDLASS_DATABASE_URL=" + kept("database.url"), "WINDLASS_KEY_PEPPER=" + kept("key.pepper")}
	run := func(args ...string) string {
		t.Helper()
		out, errs, err := program.Run(t, env, append([]string{"keys"}, args...)...)
		if err != nil || errs != "" {
			t.Fatalf("keys %v: %v, %s", args, err, errs)
		}
		return out
	}
	key := strings.TrimSuffix(run("create", "--tenant", "acme", "--name", "ci\nrunner", "--models", "demo,x", "--tools", "get_weather,x", "--expires", "720h"), "\n")
	devEnv := append(env[1:len(env):len(env)], "WINDLASS_REGISTRY=", "WINDLASS_DATA="+data)
	for _, wrong := range [][]string{{"--models", "demi"}, {"--tools", "get_wether"}} {
		out, errs, err := program.Run(t, devEnv, append([]string{"keys", "create", "--tenant", "acme"}, wrong...)...)
		if err == nil || out != "" || !strings.Contains(errs, "does not have "+wrong[1]) {
			t.Errorf("keys create %v against dev said %q and %q, %v; want the name refused", wrong, out, errs, err)
		}
	}
	reader := strings.TrimSuffix(run("create", "--tenant", "acme", "--scopes", "read", "--no-tools"), "\n")
	other := strings.TrimSuffix(run("create", "--tenant", "other"), "\n")
	id := strings.Split(key, "_")[1]

	code, answer := d.CallWithKey(t, key, http.MethodPost, "/v1/responses", `{"model": "demo", "input": "hi"}`)
	if code != http.StatusOK || answer["status"] != "completed" {
		t.Fatalf("a run of the new key answered %d %v", code, answer)
	}
	path := "/v1/responses/" + answer["id"].(string)
	for name, want := range map[string]struct {
		key  string
		code int
	}{"reader": {reader, 200}, "other": {other, 404}, "default": {d.Key, 404}} {
		if code, answer := d.CallWithKey(t, want.key, http.MethodGet, path, ""); code != want.code {
			t.Errorf("the key of %s reads acme's response as %d %v, want %d", name, code, answer, want.code)
		}
	}
	if code, answer := d.CallWithKey(t, reader, http.MethodPost, path+"/cancel", ""); code != http.StatusForbidden {
		t.Errorf("a reader's cancel answered %d %v, want 403", code, answer)
	}

	list := strings.Split(run("list", "--tenant", "acme"), "\n")
	if len(list) != 4 || !strings.HasPrefix(list[0], "ID ") || !strings.Contains(list[1], id) || !strings.Contains(list[1], "ci runner") ||
		!strings.Contains(list[1], " demo,x  get_weather,x ") || !strings.Contains(list[2], " all     none ") || !strings.Contains(list[1], "active until ") || !strings.Contains(list[2], " read ") {
		t.Errorf("the list is\n%s", strings.Join(list, "\n"))
	}
	if all := run("list"); strings.Count(all, "\n") != 4 || strings.Contains(all, strings.Split(key, "_")[2]) {
		t.Errorf("the list of all is\n%s", all)
	}
	if out := run("revoke", id); out != id+" of tenant acme is revoked\n" || run("revoke", id) != out {
		t.Errorf("revoke says %q", out)
	}
	if all := run("list"); !strings.Contains(all, "revoked 20") {
		t.Errorf("the list after the revoke is\n%s", all)
	}
	for deadline := time.Now().Add(program.Patience); ; {
		code, answer := d.CallWithKey(t, key, http.MethodGet, path, "")
		if code == http.StatusUnauthorized {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the revoked key answers %d %v", code, answer)
		}
		time.Sleep(50 * time.Millisecond) //nolint:forbidigo // polls another process, with a deadline
	}
	if _, errs, err := program.Run(t, env, "keys", "revoke", key); err == nil || strings.Contains(errs, key) {
		t.Errorf("revoke of a whole key: %v, %q; want an error that does not show it", err, errs)
	}
	d.Stop(t)
}

func TestKeysThatCannotBeMade(t *testing.T) {
	t.Parallel()
	nowhere := []string{"WINDLASS_DATABASE_URL=postgres://u:p@127.0.0.1:1/none", "WINDLASS_KEY_PEPPER=0123456789abcdef"}
	for name, tt := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"no database url": {nowhere[1:], []string{"--tenant", "a"}, "--database-url"},
		"no pepper":       {nowhere[:1], []string{"--tenant", "a"}, "missing flags: --key-pepper"},
		"a short pepper":  {append(nowhere, "WINDLASS_KEY_PEPPER=x"), []string{"--tenant", "a"}, "pepper is shorter"},
		"no tenant":       {nowhere, nil, "tenant"},
		"a bad tenant":    {nowhere, []string{"--tenant", "a.b"}, "tenant"},
		"a bad scope":     {nowhere, []string{"--tenant", "a", "--scopes", "read,all"}, "all"},
		"no scope":        {nowhere, []string{"--tenant", "a", "--scopes", ""}, "--scopes"},
		"a past end":      {nowhere, []string{"--tenant", "a", "--expires=-1h"}, "--expires"},
		"no tool":         {nowhere, []string{"--tenant", "a", "--tools", ","}, "--tools"},
		"tools and none":  {nowhere, []string{"--tenant", "a", "--tools", "x", "--no-tools"}, "--no-tools"},
		"no model":        {nowhere, []string{"--tenant", "a", "--models", ","}, "--models"},
		"no database":     {nowhere, []string{"--tenant", "a"}, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, errs, err := program.Run(t, tt.env, append([]string{"keys", "create"}, tt.args...)...)
			if err == nil || out != "" || !strings.Contains(errs, tt.want) || !strings.HasPrefix(program.LastLine(errs), "windlass: ") {
				t.Errorf("keys create said %q and %q, %v; want an error with %q", out, errs, err, tt.want)
			}
		})
	}
}
