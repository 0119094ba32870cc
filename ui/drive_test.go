package ui

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"horcrux/config"
	"horcrux/engine/model"
	"horcrux/ui/uitest"
)

var update = flag.Bool("update", false, "write the goldens anew")

// driver runs the root model without a terminal: messages go in, commands are
// drained at once, streams are polled when everything else is done, timers wait
// for pass. Nothing sleeps.
type driver struct {
	t       testing.TB
	app     *app
	fake    *uitest.Fake
	now     time.Time
	sources []source
	timers  []timer
	raw     []string // what was sent to the terminal apart from the picture
	quit    bool
}

type timer struct {
	at  time.Time
	msg tea.Msg
}

func drive(t testing.TB, c model.Cluster, jobs []model.Job, change ...func(*Options)) *driver {
	t.Helper()
	d := &driver{t: t, now: uitest.Epoch, fake: uitest.NewFake(c, jobs)}
	d.fake.PlanFunc = func(r model.Request) (model.Plan, error) { return uitest.Plan(c, d.now, r) }
	o := Options{Config: config.Default(), Environ: []string{"LANG=C.UTF-8"}, Now: func() time.Time { return d.now }}
	for _, f := range change {
		f(&o)
	}
	d.app = newApp(context.Background(), d.fake, o)
	d.app.after = func(w time.Duration, m tea.Msg) tea.Cmd {
		d.timers = append(d.timers, timer{d.now.Add(w), m})
		return nil
	}
	d.app.listen = func(s source) tea.Cmd {
		d.sources = append(d.sources, s)
		return nil
	}
	d.run(d.app.Init())
	d.size(120, 40)
	return d
}

// send gives the model a message and lets everything settle.
func (d *driver) send(m tea.Msg) *driver {
	_, cmd := d.app.Update(m)
	d.run(cmd)
	d.idle()
	return d
}

func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil || d.quit {
		return
	}
	switch m := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range m {
			d.run(c)
		}
	case tea.QuitMsg:
		d.quit = true
	case tea.RawMsg:
		d.raw = append(d.raw, fmt.Sprint(m.Msg))
	default:
		if v := reflect.TypeOf(m); strings.HasPrefix(v.String(), "tea.") && v.PkgPath() != "" {
			return // a request to the terminal
		}
		_, next := d.app.Update(m)
		d.run(next)
	}
}

// idle polls the streams until none has anything to say.
func (d *driver) idle() {
	for again := true; again; {
		again = false
		waiting := d.sources
		d.sources = nil
		for i, s := range waiting {
			m, ok := s.poll()
			if !ok {
				d.sources = append(d.sources, s)
				continue
			}
			again = true
			d.sources = append(d.sources, waiting[i+1:]...)
			_, cmd := d.app.Update(m)
			d.run(cmd)
			break
		}
	}
}

func (d *driver) size(w, h int) *driver { return d.send(tea.WindowSizeMsg{Width: w, Height: h}) }

// press types keys, given as Bubble Tea names them.
func (d *driver) press(keys ...string) *driver {
	for _, k := range keys {
		d.send(keyMsg(k))
	}
	return d
}

// typed types a text letter by letter.
func (d *driver) typed(s string) *driver {
	for _, r := range s {
		d.press(string(r))
	}
	return d
}

var named = map[string]rune{
	"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
	"left": tea.KeyLeft, "right": tea.KeyRight, "backspace": tea.KeyBackspace, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp,
	"home": tea.KeyHome, "end": tea.KeyEnd,
}

func keyMsg(k string) tea.KeyPressMsg {
	if code, ok := named[k]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if rest, ok := strings.CutPrefix(k, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(rest[0]), Mod: tea.ModCtrl}
	}
	if k == "shift+tab" {
		return tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	}
	if k == "space" || k == " " {
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	r := []rune(k)[0]
	return tea.KeyPressMsg{Code: r, Text: k}
}

// pass lets time go by; timers that come due fire in their order.
func (d *driver) pass(w time.Duration) *driver {
	end := d.now.Add(w)
	for {
		first := -1
		for i, t := range d.timers {
			if !t.at.After(end) && (first < 0 || t.at.Before(d.timers[first].at)) {
				first = i
			}
		}
		if first < 0 {
			break
		}
		t := d.timers[first]
		d.timers = append(d.timers[:first], d.timers[first+1:]...)
		d.now = t.at
		d.send(t.msg)
	}
	d.now = end
	return d
}

// screen is the picture as plain text.
func (d *driver) screen() string { return ansi.Strip(d.app.content()) }

// sees fails the test if the picture lacks a text.
func (d *driver) sees(want ...string) *driver {
	d.t.Helper()
	for _, w := range want {
		if !strings.Contains(d.screen(), w) {
			d.t.Fatalf("the screen lacks %q:\n%s", w, d.screen())
		}
	}
	return d
}

// lacks fails the test if the picture has a text.
func (d *driver) lacks(want ...string) *driver {
	d.t.Helper()
	for _, w := range want {
		if strings.Contains(d.screen(), w) {
			d.t.Fatalf("the screen has %q:\n%s", w, d.screen())
		}
	}
	return d
}

// boxed is the text in the box that lies over the page, its lines joined.
func (d *driver) boxed() string {
	var words []string
	for _, l := range strings.Split(d.screen(), "\n") {
		if f := strings.Split(l, "│"); len(f) >= 3 {
			inner := slices.MaxFunc(f[1:len(f)-1], func(a, b string) int { return len(a) - len(b) }) // others are of what lies under it
			words = append(words, strings.Fields(inner)...)
		} else if strings.Contains(l, "╭─") {
			_, title, _ := strings.Cut(l, "╭─")
			words = append(words[:0], strings.Fields(strings.Trim(title, "─╮ "))...)
		}
	}
	return strings.Join(words, " ")
}

// joined fails the test if the box over the page lacks a text, however its lines
// are broken.
func (d *driver) joined(want ...string) *driver {
	d.t.Helper()
	for _, w := range want {
		if !strings.Contains(d.boxed(), w) {
			d.t.Fatalf("the box lacks %q:\n%s", w, d.screen())
		}
	}
	return d
}

// modalLacks fails the test if the box over the page has a text.
func (d *driver) modalLacks(want ...string) *driver {
	d.t.Helper()
	for _, w := range want {
		if strings.Contains(d.boxed(), w) {
			d.t.Fatalf("the box has %q:\n%s", w, d.screen())
		}
	}
	return d
}

// fits fails the test if the picture is not within the window, or holds
// anything that a terminal would take for more than text and colour.
func fits(t testing.TB, d *driver, w, h int) {
	t.Helper()
	lines := strings.Split(d.app.content(), "\n")
	if d.app.content() != "" && len(lines) > h {
		t.Fatalf("%dx%d: %d lines", w, h, len(lines))
	}
	for i, l := range lines {
		if n := ansi.StringWidth(l); n > w {
			t.Fatalf("%dx%d: line %d is %d cells wide: %q", w, h, i, n, ansi.Strip(l))
		}
		for _, r := range ansi.Strip(l) {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x200f || r == 0x200e {
				t.Fatalf("%dx%d: line %d has the control %U: %q", w, h, i, r, l)
			}
		}
		if strings.Count(l, "\x1b") != strings.Count(l, "\x1b[") {
			t.Fatalf("%dx%d: line %d has an escape that is no colour: %q", w, h, i, l)
		}
	}
}

// golden compares the picture with a file.
func golden(t *testing.T, d *driver, name string) {
	t.Helper()
	lines := strings.Split(d.screen(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	compare(t, filepath.Join("testdata", name+".txt"), strings.Join(lines, "\n")+"\n")
}

// coloured compares the picture, colours and all, with a file that a terminal
// shows as it is.
func coloured(t *testing.T, d *driver, name string) {
	t.Helper()
	compare(t, filepath.Join("testdata", "colour", name+".ansi"), d.app.content()+"\n")
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./ui -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), go test ./ui -update if that is meant:\n%s", path, diff)
	}
}
