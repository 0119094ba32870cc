package theme

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Signs. Each is one cell wide in every terminal and has an ASCII twin below;
// none needs a special font.
const (
	SignOn      = "●" // runs, up
	SignHalf    = "◐" // paused, on its way
	SignOff     = "○" // off, waiting
	SignPass    = "✓"
	SignWarn    = "!"
	SignFail    = "✗"
	SignSkip    = "–"
	SignNone    = "·"
	SignActive  = "◉"
	SignUnknown = "?"
	SignTomb    = "†"
	SignCursor  = "▌"
	SignMark    = "◆"
	SignMove    = "→"
	SignBack    = "←"
	SignJob     = "»"
	SignUp      = "▲"
	SignDown    = "▼"
	SignCrumb   = "›"
	BarFull     = "━"
	BarEmpty    = "─"
	BarGap      = "╌"
	Rule        = "─"
	Fill        = "░"
)

// Sparks are the heights of a spark line, lowest first.
var Sparks = []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

// ascii gives each sign a twin of the same width for terminals without UTF-8.
var ascii = map[rune]byte{
	'●': '*', '◐': '%', '○': 'o', '✓': '+', '✗': 'x', '–': '-', '·': '.', '◉': '@', '†': 't',
	'▌': '>', '◆': '#', '→': '>', '←': '<', '»': '&', '▲': '^', '▼': 'v', '›': '>', '━': '=', '─': '-',
	'╌': '.', '▶': '>', '│': '|', '╭': '+', '╮': '+', '╰': '+', '╯': '+', '…': '~', '—': '-', '≈': '~', '×': 'x',
	'░': ':', '▁': '_', '▂': '.', '▃': ',', '▄': '-', '▅': '=', '▆': '+', '▇': '*', '█': '#', '‹': '<', '’': '\'',
	'↑': '^', '↓': 'v', '┃': '|', '├': '+', '╴': '-', '╶': '-',
}

// ToASCII returns a drawn screen with every rune outside ASCII replaced by a
// twin of the same width, or by question marks.
func ToASCII(s string) string {
	i := strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	b.WriteString(s[:i])
	for _, r := range s[i:] {
		switch twin, ok := ascii[r]; {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case ok:
			b.WriteByte(twin)
		default:
			for range ansi.StringWidth(string(r)) {
				b.WriteByte('?')
			}
		}
	}
	return b.String()
}
