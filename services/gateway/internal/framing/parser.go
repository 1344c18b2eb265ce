package framing

import "strings"

// state is what the next byte of a connection belongs to.
type state int

const (
	atStart   state = iota // a request line, or the empty lines that may precede it
	inHeader               // a line of the header
	inBody                 // left bytes of a body or chunk
	inSize                 // the line with a chunk's size
	inEnd                  // the line end after a chunk
	inTrailer              // a line after the last chunk
)

// maxSize is the number of digits of a chunk's size that net/http accepts.
const maxSize = 16

// parser follows the requests of one connection.
type parser struct {
	state   state
	line    [18]byte // begin of the current line, in lower case
	n       int      // bytes of the current line, without its end
	cr      bool     // the last of them is a carriage return
	length  bool     // the request has a Content-Length
	chunked bool     // the request has a Transfer-Encoding
	refused bool     // the request has both; it is the connection's last
	digits  bool     // the value of Content-Length is being read
	left    uint64   // bytes of the body or chunk still to come
	size    uint64   // of the chunk, or of the body, as far as it is read
	sizeLen int      // digits of size; -1 after its end
}

// follow reads what has arrived, and removes the colon of a second length. It
// returns false if it cannot tell where the request ends.
func (p *parser) follow(data []byte) bool {
	for i := 0; i < len(data) && !p.refused; i++ {
		if p.state == inBody {
			skip := min(p.left, uint64(len(data)-i))
			p.left -= skip
			i += int(skip) - 1
			if p.left == 0 {
				p.endBody()
			}
			continue
		}
		if data[i] == '\n' {
			if !p.endLine() {
				return false
			}
			continue
		}
		if !p.add(&data[i]) {
			return false
		}
	}
	return true
}

// add takes one byte of a line.
func (p *parser) add(b *byte) bool {
	if p.n < len(p.line) {
		p.line[p.n] = lower(*b)
	}
	p.n++
	p.cr = *b == '\r'
	switch {
	case p.state == inSize:
		return p.addSize(*b, 16)
	case p.state == inEnd:
		return p.n == 1 && p.cr
	case p.state == inHeader && *b == ':' && p.n <= len(p.line):
		p.nameEnds(b)
	case p.digits && *b != ' ' && *b != '\t' && *b != '\r':
		return p.addSize(*b, 10)
	}
	return true
}

// nameEnds looks at the name before a colon.
func (p *parser) nameEnds(colon *byte) {
	switch string(p.line[:p.n-1]) {
	case "content-length":
		p.length, p.digits, p.size, p.sizeLen = true, true, 0, 0
	case "transfer-encoding":
		p.chunked = true
	default:
		return
	}
	if p.length && p.chunked {
		*colon, p.refused = ' ', true
	}
}

// addSize takes a digit of a size. Extensions of a chunk are passed over. A
// value that net/http refuses may end anywhere: it closes the connection.
func (p *parser) addSize(b byte, base uint64) bool {
	digit := strings.IndexByte("0123456789abcdef", lower(b))
	switch {
	case p.sizeLen < 0:
		return true
	case base == 16 && (b == ';' || b == ' ' || b == '\t' || b == '\r') && p.sizeLen > 0:
		p.sizeLen = -1
		return true
	case digit < 0 || uint64(digit) >= base || p.sizeLen == maxSize:
		return base == 10 // net/http refuses this request
	}
	p.size = p.size*base + uint64(digit)
	p.sizeLen++
	return true
}

// endLine takes the end of a line.
func (p *parser) endLine() bool {
	empty := p.n == 0 || p.n == 1 && p.cr
	p.n, p.cr, p.digits = 0, false, false
	switch p.state {
	case atStart:
		if !empty {
			p.state, p.length, p.chunked = inHeader, false, false
		}
	case inHeader:
		if empty {
			p.beginBody()
		}
	case inSize:
		if p.sizeLen == 0 {
			return false
		}
		p.left, p.state = p.size, inBody
		if p.size == 0 {
			p.state = inTrailer
		}
	case inEnd:
		p.beginChunk()
	case inTrailer:
		if empty {
			p.state = atStart
		}
	case inBody:
	}
	return true
}

func (p *parser) beginBody() {
	switch {
	case p.chunked:
		p.beginChunk()
	case p.length && p.size > 0:
		p.state, p.left = inBody, p.size
	default:
		p.state = atStart
	}
}

func (p *parser) beginChunk() { p.state, p.size, p.sizeLen = inSize, 0, 0 }

// endBody follows the last byte of a body or of a chunk.
func (p *parser) endBody() {
	p.state = atStart
	if p.chunked {
		p.state = inEnd
	}
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
