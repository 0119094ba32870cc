package config

import (
	"strconv"
	"strings"
)

// positions says on which line every key of a file was written. A key is
// written as in the messages: ssh.user, node[0].name.
//
// The TOML library names a key that nobody asked for, or a value of the wrong
// type, without its place; this fills the gap. The scan runs only over files
// that the library has found well-formed, so it checks nothing. On any input it
// ends, and the worst it can do is to know no line.
type positions map[string]int

func scanPositions(src string) positions {
	pos, _ := scan(src)
	return pos
}

// scan also tells whether something is nested deeper than maxDepth; what lies
// below is then not looked at.
func scan(src string) (pos positions, deep bool) {
	s := scanner{src: src, line: 1, pos: positions{}, tables: map[string]int{}}
	s.document()
	return s.pos, s.deep
}

// maxDepth is more than a configuration has, and few enough for the TOML
// library, whose time grows with the cube of it.
const maxDepth = 16

// at finds the line of a key, or of the nearest table around it.
func (p positions) at(path string) int {
	for path != "" {
		if n, ok := p[path]; ok {
			return n
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return 0
}

type scanner struct {
	src  string
	i    int
	line int
	pos  positions
	// depth is how deep the present value lies, deep that one lay too deep.
	depth int
	deep  bool
	// tables counts the elements of every array of tables met so far.
	tables map[string]int
}

func (s *scanner) document() {
	base := ""
	for {
		s.blank(true)
		if s.i >= len(s.src) {
			return
		}
		start := s.i
		if s.src[s.i] == '[' {
			base = s.header()
		} else {
			s.pair(base)
		}
		s.advance(start)
	}
}

// advance steps on if nothing was read since start: never stand still, even on
// what is not TOML.
func (s *scanner) advance(start int) {
	if s.i == start {
		s.i++
	}
}

// header reads [a.b] or [[a.b]] and returns the path of the table it opens.
func (s *scanner) header() string {
	line := s.line
	s.i++
	array := s.peek() == '['
	if array {
		s.i++
	}
	parts := s.key()
	s.restOfLine()
	path := ""
	for n, part := range parts {
		path = join(path, part)
		last := n == len(parts)-1
		if count, ok := s.tables[path]; ok && !last {
			path = index(path, count-1)
		}
	}
	if path == "" {
		return ""
	}
	s.record(path, line)
	if array {
		n := s.tables[path]
		s.tables[path] = n + 1
		path = index(path, n)
		s.record(path, line)
	}
	return path
}

// pair reads key = value.
func (s *scanner) pair(base string) {
	line := s.line
	path := base
	for _, part := range s.key() {
		path = join(path, part)
		s.record(path, line)
	}
	s.blank(false)
	if s.peek() != '=' {
		return
	}
	s.i++
	s.value(path)
}

// key reads a bare, quoted or dotted key.
func (s *scanner) key() []string {
	var parts []string
	for {
		if len(parts) > maxDepth {
			s.deep, s.i = true, len(s.src)
		}
		s.blank(false)
		switch c := s.peek(); {
		case c == '"' || c == '\'':
			from := s.i
			s.quoted()
			parts = append(parts, unquote(s.src[from:s.i]))
		default:
			from := s.i
			for s.i < len(s.src) && isBare(s.src[s.i]) {
				s.i++
			}
			if s.i == from {
				return parts
			}
			parts = append(parts, s.src[from:s.i])
		}
		s.blank(false)
		if s.peek() != '.' {
			return parts
		}
		s.i++
	}
}

func (s *scanner) value(path string) {
	if s.depth++; s.depth > maxDepth {
		s.deep, s.i = true, len(s.src)
	}
	defer func() { s.depth-- }()
	s.blank(true)
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.i++
		for n := 0; s.more(']'); n++ {
			start := s.i
			s.record(index(path, n), s.line)
			s.value(index(path, n))
			s.advance(start)
		}
	case '{':
		s.i++
		for s.more('}') {
			start := s.i
			s.pair(path)
			s.advance(start)
		}
	default:
		for s.i < len(s.src) && !strings.ContainsRune(",]}#\n", rune(s.src[s.i])) {
			s.i++
		}
	}
}

// more steps over separators and tells whether another element follows; the
// closing bracket is eaten.
func (s *scanner) more(end byte) bool {
	s.blank(true)
	for s.peek() == ',' {
		s.i++
		s.blank(true)
	}
	switch c := s.peek(); {
	case c == 0 && s.i >= len(s.src):
		return false
	case c == end:
		s.i++
		return false
	case c == ']' || c == '}' || c == '=' || c == '.': // not TOML
		s.i = len(s.src)
		return false
	}
	return true
}

// quoted steps over a string of any of the four kinds.
func (s *scanner) quoted() {
	q := s.src[s.i]
	triple := strings.Repeat(string(q), 3)
	if strings.HasPrefix(s.src[s.i:], triple) {
		s.i += 3
		for s.i < len(s.src) && !strings.HasPrefix(s.src[s.i:], triple) {
			s.char(q)
		}
		for n := 0; n < 5 && s.peek() == q; n++ { // """" ends in a quote of its own
			s.i++
		}
		return
	}
	s.i++
	for s.i < len(s.src) && s.src[s.i] != q && s.src[s.i] != '\n' {
		s.char(q)
	}
	if s.peek() == q {
		s.i++
	}
}

// char steps over one character of a string, with what a backslash protects.
func (s *scanner) char(q byte) {
	if s.src[s.i] == '\\' && q == '"' && s.i+1 < len(s.src) {
		s.i++
	}
	if s.src[s.i] == '\n' {
		s.line++
	}
	s.i++
}

// blank steps over spaces and comments, and over line ends if lines is set.
func (s *scanner) blank(lines bool) {
	for s.i < len(s.src) {
		switch s.src[s.i] {
		case ' ', '\t', '\r':
			s.i++
		case '\n':
			if !lines {
				return
			}
			s.line++
			s.i++
		case '#':
			if !lines {
				return
			}
			s.restOfLine()
		default:
			return
		}
	}
}

func (s *scanner) restOfLine() {
	if n := strings.IndexByte(s.src[s.i:], '\n'); n >= 0 {
		s.i += n
	} else {
		s.i = len(s.src)
	}
}

func (s *scanner) peek() byte {
	if s.i < len(s.src) {
		return s.src[s.i]
	}
	return 0
}

func (s *scanner) record(path string, line int) {
	if _, ok := s.pos[path]; !ok {
		s.pos[path] = line
	}
}

func join(path, part string) string {
	if !bareKey(part) {
		part = strconv.Quote(part)
	}
	if path == "" {
		return part
	}
	return path + "." + part
}

func index(path string, n int) string { return path + "[" + strconv.Itoa(n) + "]" }

func isBare(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func bareKey(s string) bool {
	for i := range len(s) {
		if !isBare(s[i]) {
			return false
		}
	}
	return s != ""
}

func unquote(s string) string {
	if len(s) < 2 {
		return s
	}
	if s[0] == '"' {
		if u, err := strconv.Unquote(s); err == nil {
			return u
		}
	}
	return s[1 : len(s)-1]
}
