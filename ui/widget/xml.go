package widget

import (
	"strings"

	"github.com/alecthomas/chroma/v2"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// xmlLexer knows the XML that libvirt writes. It is made here of chroma's parts,
// since chroma's own set of languages would cost every start its loading.
var xmlLexer = chroma.MustNewLexer(&chroma.Config{Name: "XML", DotAll: true}, func() chroma.Rules {
	return chroma.Rules{
		"root": {
			{Pattern: `<!--.*?-->`, Type: chroma.Comment},
			{Pattern: `<\?.*?\?>`, Type: chroma.CommentPreproc},
			{Pattern: `<!\[CDATA\[.*?\]\]>`, Type: chroma.LiteralString},
			{Pattern: `</?[\w:.-]+`, Type: chroma.NameTag, Mutator: chroma.Push("tag")},
			{Pattern: `[^<]+`, Type: chroma.Text},
			{Pattern: `<`, Type: chroma.Text},
		},
		"tag": {
			{Pattern: `\s+`, Type: chroma.Text},
			{Pattern: `[\w:.-]+(?=\s*=)`, Type: chroma.NameAttribute},
			{Pattern: `"[^"]*"|'[^']*'`, Type: chroma.LiteralString},
			{Pattern: `/?>`, Type: chroma.NameTag, Mutator: chroma.Pop(1)},
			{Pattern: `.`, Type: chroma.Text},
		},
	}
})

// maxXML bounds what is coloured; more than that nobody reads on a screen.
const maxXML = 512 << 10

// maxLine bounds, in bytes, what is shown of one line.
const maxLine = 2048

// XML gives the lines of a document, each as it is and coloured. Tabs and
// control characters are made harmless.
func XML(th *theme.Theme, doc string) (plain, coloured []string) {
	var cleaned []string
	for line := range strings.SplitSeq(strings.TrimRight(doc, "\n"), "\n") {
		if len(line) > maxLine {
			line = line[:maxLine] + "…"
		}
		cleaned = append(cleaned, text.Clean(strings.ReplaceAll(line, "\t", "  ")))
	}
	if len(doc) > maxXML {
		return cleaned, cleaned
	}
	tokens, err := xmlLexer.Tokenise(nil, strings.Join(cleaned, "\n"))
	if err != nil {
		return cleaned, cleaned
	}
	var b strings.Builder
	var out []string
	for t := tokens(); t != chroma.EOF; t = tokens() {
		look := th.Text
		switch {
		case t.Type == chroma.NameTag:
			look = th.Accent
		case t.Type == chroma.NameAttribute:
			look = th.Muted
		case t.Type == chroma.LiteralString:
			look = th.OK
		case t.Type.InCategory(chroma.Comment):
			look = th.Faint
		}
		for i, part := range strings.Split(t.Value, "\n") {
			if i > 0 {
				out = append(out, b.String())
				b.Reset()
			}
			b.WriteString(look.Render(part))
		}
	}
	if b.Len() > 0 {
		out = append(out, b.String())
	}
	if len(out) < len(cleaned) {
		out = append(out, cleaned[len(out):]...)
	}
	return cleaned, out
}

// Tabs is a line of the names of pages, the open one marked by more than colour.
func Tabs(th *theme.Theme, w int, names []string, open int) string {
	var b strings.Builder
	b.WriteByte(' ')
	for i, n := range names {
		key := string(rune('1' + i))
		if i == open {
			b.WriteString(th.Lead.Render("[" + key + " " + n + "]"))
		} else {
			b.WriteString(" " + th.Accent.Render(key) + " " + th.Muted.Render(n) + " ")
		}
		b.WriteByte(' ')
	}
	if s := b.String(); text.Width(s) <= w {
		return text.Fit(s, w)
	}
	// Too narrow for all: the open one with its neighbours' keys.
	return text.Fit(" "+th.Lead.Render("["+string(rune('1'+open))+" "+names[open]+"]")+th.Muted.Render("  tab: next page"), w)
}
