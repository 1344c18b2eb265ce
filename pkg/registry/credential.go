package registry

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// ErrNoSecret reports a reference that leads to no secret.
var ErrNoSecret = errors.New("no secret there")

const maxSecretBytes = 64 << 10

// Credential says where a secret is, never what it is: in the environment
// variable Env or in the file at the absolute path File. The zero Credential is
// no credential.
type Credential struct {
	Env  string `yaml:"env"`
	File string `yaml:"file"`
}

// Resolve reads the secret, without surrounding white space. The zero
// Credential resolves to "". Each call reads the source again, so that a
// rotated file is noticed; the caller keeps the result out of logs and
// messages. The error is ErrNoSecret or that of the file, and names the
// reference only.
func (c Credential) Resolve() (string, error) {
	switch {
	case c.Env != "":
		secret, _ := envconfig.OsLookuper().Lookup(c.Env)
		if secret = strings.TrimSpace(secret); secret == "" {
			return "", fmt.Errorf("resolve credential: environment variable %s: %w", c.Env, ErrNoSecret)
		}
		return secret, nil
	case c.File != "":
		return readSecret(c.File)
	default:
		return "", nil
	}
}

// String returns the kind of the reference and not its target, because people
// paste the secret itself there.
func (c Credential) String() string {
	switch {
	case c.Env != "":
		return "credential(env)"
	case c.File != "":
		return "credential(file)"
	default:
		return "credential(none)"
	}
}

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }

func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("resolve credential: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	if err != nil {
		return "", fmt.Errorf("resolve credential: %w", err)
	}
	if len(data) > maxSecretBytes {
		return "", fmt.Errorf("resolve credential: %s has more than %d bytes", path, maxSecretBytes)
	}
	secret := strings.TrimSpace(string(data))
	if secret == "" {
		return "", fmt.Errorf("resolve credential: %s: %w", path, ErrNoSecret)
	}
	return secret, nil
}
