package widget

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
)

var th = theme.New(theme.Dark)

func within(t *testing.T, what, s string, w, h int) {
	t.Helper()
	lines := strings.Split(s, "\n")
	if s != "" && len(lines) > max(h, 0) {
		t.Fatalf("%s %dx%d: %d lines", what, w, h, len(lines))
	}
	for _, l := range lines {
		if ansi.StringWidth(l) > max(w, 0) {
			t.Fatalf("%s %dx%d: the line %q takes %d cells", what, w, h, ansi.Strip(l), ansi.StringWidth(l))
		}
	}
}

func demo() Table {
	return Table{Focus: true, Columns: []Column{
		{ID: "a", Title: "name", Width: 10, Min: 4, Grow: 1},
		{ID: "b", Title: "size", Width: 6, Right: true, Rank: 2},
		{ID: "c", Title: "note", Width: 12, Min: 3, Rank: 1},
	}}
}

func row(i int) Row {
	return Row{Mark: theme.SignMark, Cells: []Cell{{Text: fmt.Sprintf("日本%d", i)}, {Text: "12 GiB"}, {Text: "a long note indeed"}}}
}

func TestTableAtAllSizes(t *testing.T) {
	for w := range 60 {
		for h := range 6 {
			within(t, "table", demo().View(th, w, h, List{Cursor: 7}, 10, row), w, h)
			within(t, "empty table", demo().View(th, w, h, List{}, 0, row), w, h)
		}
	}
}

// TestTableDrawsOnlyWhatIsSeen counts the rows that are asked for.
func TestTableDrawsOnlyWhatIsSeen(t *testing.T) {
	n := 0
	demo().View(th, 80, 11, List{Cursor: 5000}, 10000, func(i int) Row { n++; return row(i) })
	if n != 10 {
		t.Fatalf("%d rows were drawn for 10 lines", n)
	}
}

func TestTableLayout(t *testing.T) {
	for _, c := range []struct {
		w    int
		want string
	}{
		{4, "[4 0 0]"}, {9, "[6 0 0]"}, {12, "[4 0 3]"}, {20, "[4 6 3]"}, {34, "[10 6 11]"}, {45, "[20 6 12]"}, {100, "[75 6 12]"},
	} {
		if got := fmt.Sprint(demo().Layout(c.w)); got != c.want {
			t.Errorf("layout of %d cells is %s, want %s", c.w, got, c.want)
		}
	}
}

func TestList(t *testing.T) {
	l := List{}
	for _, id := range []string{"up", "bottom", "down", "half-up", "top", "half-down"} {
		var ok bool
		if l, ok = l.Move(id, 100, 10); !ok {
			t.Fatalf("%s is no move", id)
		}
		if l.Cursor < l.Offset || l.Cursor >= l.Offset+10 {
			t.Fatalf("after %s the cursor %d is not among the lines from %d", id, l.Cursor, l.Offset)
		}
	}
	if l.Cursor != 5 {
		t.Fatalf("the cursor is at %d", l.Cursor)
	}
	if _, ok := l.Move("migrate", 100, 10); ok {
		t.Fatal("migrate is a move")
	}
	for _, n := range []int{0, 1} {
		if l := (List{Cursor: 50, Offset: 45}).Clamp(n, 10); l.Cursor != 0 || l.Offset != 0 {
			t.Fatalf("%d lines: %+v", n, l)
		}
	}
}

func TestGauge(t *testing.T) {
	for w := range 30 {
		for _, f := range []float64{-1, 0, 0.001, 0.5, 0.999, 1, 7} {
			g := ansi.Strip(Gauge(th, w, f, th.Accent, theme.Style{}))
			if text.Width(g) != w {
				t.Fatalf("a gauge of %d cells takes %d", w, text.Width(g))
			}
			full := strings.Count(g, theme.BarFull)
			if w > 1 && (f >= 1) != (full == w) || w > 1 && (f <= 0) != (full == 0) {
				t.Fatalf("%v of %d cells is %q", f, w, g)
			}
		}
	}
}

func TestSparkAndChart(t *testing.T) {
	if got := Spark([]float64{0, 5, 10}, 3, 10); got != "▁▅█" {
		t.Fatalf("%q", got)
	}
	for w := range 5 {
		for h := range 4 {
			c := Chart([]float64{1, 2, 3, 4, 5, 6}, w, h, 0)
			within(t, "chart", strings.Join(c, "\n"), w, h)
		}
	}
	if got := strings.Join(Chart([]float64{0, 1, 2}, 3, 2, 2), "|"); got != "  █| █░" {
		t.Fatalf("%q", got)
	}
}

func TestRail(t *testing.T) {
	stops := []Stop{{Title: "pre-flight", State: StopDone, Note: "1 s"}, {Title: "disks", State: StopActive}, {Title: "gate"}, {Title: "confirm", State: StopFailed}}
	for w := range 90 {
		within(t, "rail", Rail(th, w, stops), w, 3)
	}
	got := ansi.Strip(Rail(th, 40, stops))
	if !strings.HasPrefix(got, "✓━") || !strings.Contains(got, "◉") || !strings.Contains(got, "✗") {
		t.Fatalf("%q", got)
	}
}

func TestModalsAtAllSizes(t *testing.T) {
	scope := append(bind.Move(), bind.Action{ID: "x", Keys: []string{"x"}, Help: "do x", Disabled: "no x here"})
	for name, m := range map[string]Modal{
		"confirm": Confirm{Title: "sure?", Facts: []Fact{{Label: "VM", Value: "web01"}}, Lines: []string{"a long line that says what will happen, to be wrapped"}},
		"typed":   Confirm{Title: "sure?", Type: "web01", Grave: true, Gone: "it is gone"},
		"menu":    Menu{Title: "menu", Items: []Item{{ID: "a", Title: "a", Key: "a"}, {ID: "b", Title: "b"}}},
		"prompt":  Prompt{Title: "how much?", Hint: "a number"},
		"help":    Help{Title: "keys", Scope: scope},
		"command": CommandLine{Complete: func(string) []Completion { return []Completion{{Line: "jobs", Word: "jobs"}} }},
	} {
		for w := range 100 {
			for _, h := range []int{0, 1, 2, 3, 10, 40} {
				m.View(th, w, h) // must not panic
				within(t, name, Over(th, "back\nground", m.View(th, w, h), w, h), w, max(h, 1))
			}
		}
		if _, a := m.Key("esc", ""); !a.Done || a.Yes {
			t.Errorf("%s: esc gave %+v", name, a)
		}
	}
}

// TestEnterIsNotYes is the rule that a question's safe answer is its default.
func TestEnterIsNotYes(t *testing.T) {
	if _, a := (Confirm{}).Key("enter", ""); !a.Done || a.Yes {
		t.Fatalf("enter gave %+v", a)
	}
	m, _ := Confirm{}.Key("tab", "")
	if _, a := m.Key("enter", ""); !a.Yes {
		t.Fatal("enter on the yes gave no yes")
	}
	m, _ = Confirm{Gone: "too late"}.Key("tab", "")
	if _, a := m.Key("enter", ""); a.Yes {
		t.Fatal("a question without sense was answered yes")
	}
	if _, a := (Confirm{Type: "web01"}).Key("y", "y"); a.Done {
		t.Fatal("a letter answered a question that wants the name")
	}
}

func TestInput(t *testing.T) {
	i := NewInput("").Insert("hello big\nworld\x1b[2J")
	if i.Value() != "hello big world" {
		t.Fatalf("%q", i.Value())
	}
	for _, k := range []string{"ctrl+w", "home", "delete", "right", "backspace", "end"} {
		i, _ = i.Key(k, "")
	}
	if i, _ = i.Key("!", "!"); i.Value() != "llo big !" {
		t.Fatalf("%q", i.Value())
	}
	for w := range 12 {
		within(t, "input", i.View(th, w), w, 1)
	}
	long := NewInput(strings.Repeat("x", 450)).Insert(strings.Repeat("y", 100))
	if len(long.Value()) != 450 {
		t.Fatal("the bound of a line does not hold")
	}
}

func TestMono(t *testing.T) {
	m := theme.New(theme.Mono)
	for _, s := range []theme.Style{m.OK, m.Warn, m.Bad, m.Accent, m.Select, m.Stale, m.Muted} {
		if r := s.Render("x"); strings.Contains(r, "38;") || strings.Contains(r, "48;") || strings.Contains(r, "[3") {
			t.Errorf("the mono theme has a colour: %q", r)
		}
	}
}

func TestASCII(t *testing.T) {
	signs := []string{
		theme.SignOn, theme.SignHalf, theme.SignOff, theme.SignPass, theme.SignWarn, theme.SignFail, theme.SignSkip, theme.SignNone, theme.SignActive,
		theme.SignUnknown, theme.SignTomb, theme.SignCursor, theme.SignMark, theme.SignMove, theme.SignBack, theme.SignJob, theme.BarFull, theme.BarEmpty, theme.BarGap,
	}
	seen := map[string]string{}
	for _, s := range append(signs, theme.Sparks...) {
		a := theme.ToASCII(s)
		if text.Width(s) != 1 || len(a) != 1 || a[0] > '~' || a == "?" && s != "?" {
			t.Errorf("the twin of %q is %q", s, a)
		}
		seen[a] = s
	}
	for _, group := range [][]string{
		{theme.SignOn, theme.SignHalf, theme.SignOff, theme.SignFail, theme.SignUnknown, theme.SignTomb, theme.SignNone},
		{theme.SignPass, theme.SignWarn, theme.SignFail, theme.SignSkip, theme.SignNone, theme.SignUnknown},
		{theme.SignPass, theme.SignFail, theme.SignActive, theme.SignOff, theme.SignSkip},
		{theme.BarFull, theme.BarEmpty, theme.BarGap},
	} {
		twins := map[string]bool{}
		for _, s := range group {
			twins[theme.ToASCII(s)] = true
		}
		if len(twins) != len(group) {
			t.Errorf("signs that stand side by side share a twin: %q", group)
		}
	}
	if got := theme.ToASCII("日本x…"); got != "????x~" {
		t.Errorf("%q", got)
	}
}
