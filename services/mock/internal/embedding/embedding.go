// Package embedding serves embeddings that are computed from the texts.
package embedding

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"windlass.dev/windlass/services/mock/internal/exchange"
	"windlass.dev/windlass/services/mock/internal/jsontext"
	"windlass.dev/windlass/services/mock/internal/ledger"
	"windlass.dev/windlass/services/mock/internal/script"
)

const (
	defaultDimensions = 16
	maxDimensions     = 8192
)

type embeddingRequest struct {
	Model      string          `json:"model"`
	Input      json.RawMessage `json:"input"`
	Dimensions int             `json:"dimensions"`
	Encoding   string          `json:"encoding_format"`
}

// embedding is a decoded call: the texts, the plan in the last text that has
// one, and the reason to refuse it.
type embedding struct {
	embeddingRequest
	plan           script.Plan
	texts          []string
	requestBytes   int
	refusal, param string
}

// Server answers embedding calls.
type Server struct{ *exchange.Recorder }

// ServeHTTP is POST /v1/embeddings. It needs no plan. A plan in an input sets
// the think time and the faults.
func (s Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e embedding
	started := time.Now()
	if !exchange.WithBody(w, r, func(body []byte) { e = readEmbedding(body) }) {
		return
	}
	x := s.Begin(w, r, ledger.Entry{
		Kind: "embedding", Seed: e.plan.Seed, Started: started, RequestBytes: e.requestBytes,
	})
	defer x.End()
	if e.refusal != "" {
		x.Refuse(e.refusal, e.param)
		return
	}
	e.plan.AnswerCall(x, func() (exchange.Answer, script.Usage) {
		return exchange.Answer{
			ContentType: exchange.JSON, Body: e.body(), Empty: []byte(`{"object":"list","data":[]}`),
		}, script.Usage{PromptTokens: e.tokens()}
	})
}

func readEmbedding(body []byte) embedding {
	e := embedding{requestBytes: len(body)}
	if err := json.Unmarshal(body, &e.embeddingRequest); err != nil {
		e.refusal = fmt.Sprintf("We could not parse the JSON body of your request: %v.", err)
		return e
	}
	e.texts = jsontext.Texts(e.Input)
	switch {
	case e.Model == "":
		e.refusal, e.param = "Missing required parameter: 'model'.", "model"
	case len(e.texts) == 0:
		e.refusal, e.param = "'$.input' is invalid.", "input"
	case e.Dimensions < 0 || e.Dimensions > maxDimensions:
		e.refusal, e.param = fmt.Sprintf("Invalid 'dimensions': want 1 to %d.", maxDimensions), "dimensions"
	case e.Encoding != "" && e.Encoding != "float" && e.Encoding != "base64":
		e.refusal, e.param = "Invalid value for 'encoding_format'.", "encoding_format"
	}
	if e.Dimensions == 0 {
		e.Dimensions = defaultDimensions
	}
	for _, text := range e.texts {
		if p, ok := script.Parse(text); ok {
			e.plan = p
		}
	}
	return e
}

func (e *embedding) tokens() int {
	n := 0
	for _, text := range e.texts {
		n += script.CountTokens(text)
	}
	return n
}

func (e *embedding) body() []byte {
	b := []byte(`{"object":"list","data":[`)
	for i, text := range e.texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"object":"embedding","index":`...), int64(i), 10)
		b = append(e.appendVector(append(b, `,"embedding":`...), Vector(text, e.Dimensions)), '}')
	}
	b = jsontext.AppendString(append(b, `],"model":`...), e.Model)
	b = strconv.AppendInt(append(b, `,"usage":{"prompt_tokens":`...), int64(e.tokens()), 10)
	b = strconv.AppendInt(append(b, `,"total_tokens":`...), int64(e.tokens()), 10)
	return append(b, `}}`...)
}

// appendVector writes numbers, or their little-endian bytes in base64.
func (e *embedding) appendVector(b []byte, vector []float32) []byte {
	if e.Encoding == "base64" {
		raw := make([]byte, 0, 4*len(vector))
		for _, v := range vector {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), raw), '"')
	}
	b = append(b, '[')
	for i, v := range vector {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendFloat(b, float64(v), 'g', -1, 32)
	}
	return append(b, ']')
}

// Vector returns the embedding of a text: it has the length 1 and depends on
// the text and the dimensions only.
func Vector(text string, dimensions int) []float32 {
	seed := binary.LittleEndian.Uint64(sum(text))
	vector, square := make([]float64, dimensions), 0.0
	for i := range vector {
		vector[i] = float64(int64(script.Mix(seed+uint64(i)))) / (1 << 63)
		square += vector[i] * vector[i]
	}
	out := make([]float32, dimensions)
	for i, v := range vector {
		out[i] = float32(v / math.Sqrt(square))
	}
	return out
}

func sum(text string) []byte {
	hash := sha256.Sum256([]byte(text))
	return hash[:]
}
