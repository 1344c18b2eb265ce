package process

import (
	"fmt"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// maxLine bounds a line of the log, in bytes. Collectors break longer ones
// apart, and an error may join thousands of others.
const maxLine = 4 << 10

// cuts are how much is left of each text of a line that is too long. If the
// line still is, because its texts need escapes, the next one is tried.
var cuts = [...]int{1 << 10, 256, 64, 16}

// boundedEncoder cuts the texts of lines that are longer than maxLine.
type boundedEncoder struct {
	zapcore.Encoder

	bare zapcore.Encoder // without fields of With, which are cut last
}

func boundLines(e zapcore.Encoder) zapcore.Encoder {
	return boundedEncoder{Encoder: e, bare: e.Clone()}
}

// Clone implements zapcore.Encoder.
func (b boundedEncoder) Clone() zapcore.Encoder {
	return boundedEncoder{Encoder: b.Encoder.Clone(), bare: b.bare}
}

// EncodeEntry implements zapcore.Encoder.
func (b boundedEncoder) EncodeEntry(e zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line, err := b.Encoder.EncodeEntry(e, fields)
	if err != nil || line.Len() <= maxLine {
		return line, err
	}
	whole := line.Len()
	for _, n := range cuts {
		line.Free()
		e, short := cutTexts(e, fields, n)
		if line, err = b.Encoder.EncodeEntry(e, short); err != nil || line.Len() <= maxLine {
			return line, err
		}
	}
	line.Free()
	e.Message, e.Stack = cut(e.Message, cuts[1]), ""
	return b.bare.EncodeEntry(e, []zapcore.Field{zap.Int("cut_bytes", whole)})
}

// cutTexts returns an entry and its fields with texts of at most n bytes and
// their marks.
func cutTexts(e zapcore.Entry, fields []zapcore.Field, n int) (zapcore.Entry, []zapcore.Field) {
	e.Message, e.Stack = cut(e.Message, n), cut(e.Stack, n)
	short := make([]zapcore.Field, len(fields))
	for i, f := range fields {
		read := zapcore.NewMapObjectEncoder()
		f.AddTo(read)
		short[i] = f
		if text := fmt.Sprint(read.Fields[f.Key]); len(text) > n {
			short[i] = zap.String(f.Key, cut(text, n))
		}
	}
	return e, short
}

// cut returns the beginning of a text and how long it was.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:n], len(text))
}
