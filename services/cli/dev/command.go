package dev

import (
	"errors"
	"os"

	"windlass.dev/windlass/services/cli/internal/address"
)

// Command is `windlass dev`. Other commands may embed it.
type Command struct {
	Listen       string `help:"Address of the API." env:"WINDLASS_LISTEN" default:"127.0.0.1:8080"`
	Data         string `help:"Directory for Postgres, NATS and secrets. Requests in flight continue after a restart." env:"WINDLASS_DATA" default:"./.windlass"`
	APIKey       string `help:"Key that clients send. Default: one made at the first start, in the file api.key of --data." env:"WINDLASS_API_KEY" placeholder:"KEY"`
	Config       string `help:"Registry of models and tools (YAML), in addition to those of the demo." env:"WINDLASS_REGISTRY" placeholder:"FILE"`
	ModelURL     string `help:"OpenAI-compatible API for every model name that is not configured, like http://localhost:11434/v1." env:"WINDLASS_MODEL_URL" placeholder:"URL"`
	ModelKey     string `help:"Key for --model-url." env:"WINDLASS_MODEL_KEY" placeholder:"KEY"`
	ModelDialect string `help:"API that --model-url speaks: chat (completions) or responses." env:"WINDLASS_MODEL_DIALECT" enum:"chat,responses" default:"chat"`
	ModelProfile string `help:"Kind of server at --model-url, if its address does not show it, like vllm or llamacpp; docs/models.md lists all." env:"WINDLASS_MODEL_PROFILE" enum:",azure,compatible,deepseek,gemini,groq,llamacpp,lmstudio,mistral,ollama,openai,openrouter,tgi,vllm" default:"" placeholder:"NAME"`
	DatabaseURL  string `help:"Use this Postgres instead of a private one." env:"WINDLASS_DATABASE_URL" placeholder:"URL"`
	NATSURL      string `name:"nats-url" help:"Use this NATS instead of an embedded one." env:"WINDLASS_NATS_URL" placeholder:"URL"`
	NATSListen   string `name:"nats-listen" help:"Address of the embedded NATS, for the nats CLI." env:"WINDLASS_NATS_LISTEN" default:"127.0.0.1:4222"`
	PGBin        string `name:"pg-bin" help:"Directory of the Postgres binaries. Default: the usual places, then a download." env:"PG_BIN" placeholder:"DIR"`
	AdminListen  string `help:"Address of /livez, /readyz and /metrics. Default: 127.0.0.1:8081, or any free port if that is in use." env:"WINDLASS_ADMIN_LISTEN" placeholder:"ADDRESS"`
	LogLevel     string `help:"What to show: error, warn (failures and what to do), info (also a line for each request), debug (also each step)." env:"WINDLASS_LOG_LEVEL" enum:"debug,info,warn,error" default:"info"`
	NoColor      string `hidden:"" env:"NO_COLOR"`
	Term         string `hidden:"" env:"TERM"`

	Hosts       []string `help:"Names under which the API may be called, besides addresses and localhost; * for all." env:"WINDLASS_HOSTS" placeholder:"NAME,..."`
	CORSOrigins []string `name:"cors-origins" help:"Origins of web pages that may call the API from a browser: https://app.example.com, https://*.example.com, http://localhost:*, loopback, null, or * for all." env:"WINDLASS_CORS_ORIGINS" default:"loopback" placeholder:"ORIGIN,..."`
}

// Help is shown by windlass dev --help.
func (Command) Help() string {
	return `Runs in one process what a production installation runs: the five services, a NATS server that the
nats CLI can connect to, and a private Postgres. A demo model and demo tools answer without a key
and without a network.

No Postgres needs to run: dev uses the binaries it finds (PG_BIN, /usr/lib/postgresql, PATH), and
else downloads them once. Ctrl-C leaves nothing running; accepted requests continue at the next
start.`
}

// AfterApply is called by kong when every flag has its value.
func (c *Command) AfterApply() (err error) {
	if c.Listen, err = address.ParseListen("--listen", c.Listen); err != nil {
		return err
	}
	if c.NATSListen, err = address.ParseListen("--nats-listen", c.NATSListen); err != nil {
		return err
	}
	if c.AdminListen != "" {
		if c.AdminListen, err = address.ParseListen("--admin-listen", c.AdminListen); err != nil {
			return err
		}
	}
	if c.ModelURL, err = address.ParseHTTP("--model-url", c.ModelURL); err != nil {
		return err
	}
	return errors.Join(
		address.CheckScheme("--database-url", c.DatabaseURL, "postgres://user:password@127.0.0.1:5432/windlass",
			"postgres", "postgresql"),
		address.CheckScheme("--nats-url", c.NATSURL, "nats://127.0.0.1:4222", "nats", "tls", "ws", "wss"),
	)
}

// hasColors reports whether lines on a file have colors.
func (c *Command) hasColors(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && c.NoColor == "" && c.Term != "dumb" && info.Mode()&os.ModeCharDevice != 0
}
