package ui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"horcrux/config"
	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// FirstOptions are what the first start without a configuration needs.
type FirstOptions struct {
	Options
	Hosts []config.Candidate
	Path  string // of the file that is written
	// Try connects to a host once and says what it is, or why it cannot.
	Try func(context.Context, config.Candidate) (model.Node, error)
}

// ErrLeft says that the person left without a configuration.
var ErrLeft = errors.New("no configuration was written")

// tryTimeout bounds one attempt to reach a host.
const tryTimeout = 15 * time.Second

// FirstRun offers the hosts that SSH knows, tries those that are chosen, and
// writes a configuration with them.
func FirstRun(ctx context.Context, o FirstOptions) error {
	env := environ(o.Environ)
	if err := usable(env, o.In, o.Out); err != nil {
		return err
	}
	f := &first{ctx: ctx, opt: o, th: theme.New(theme.Dark), state: map[string]tried{}, ascii: !speaksUTF8(env), slots: make(chan struct{}, 8)}
	opts := []tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(newKeyboard(o.In)), tea.WithOutput(o.Out), tea.WithEnvironment(o.Environ)}
	if env["NO_COLOR"] != "" {
		f.th = theme.New(theme.Mono)
		opts = append(opts, tea.WithColorProfile(colorprofile.ASCII))
	}
	if _, err := tea.NewProgram(f, opts...).Run(); err != nil {
		return fmt.Errorf("the first start stopped: %w", err)
	}
	if !f.written {
		return ErrLeft
	}
	return nil
}

// tried is how far an attempt to reach a host is.
type tried struct {
	running bool
	node    model.Node
	err     error
}

// first is the model of the first start.
type first struct {
	ctx     context.Context
	opt     FirstOptions
	th      *theme.Theme
	list    widget.List
	marked  map[string]bool
	state   map[string]tried
	prompt  *widget.Prompt
	wrong   string
	slots   chan struct{}
	written bool
	ascii   bool
	w, h    int
}

type triedMsg struct {
	host string
	tried
}

// Init implements tea.Model.
func (f *first) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (f *first) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		f.w, f.h = m.Width, m.Height
	case tea.ColorProfileMsg:
		switch {
		case m.Profile <= colorprofile.ASCII:
			f.th = theme.New(theme.Mono)
		case m.Profile == colorprofile.ANSI:
			f.th = theme.New(theme.Sixteen)
		case m.Profile == colorprofile.ANSI256:
			f.th = theme.New(theme.Dark256)
		}
	case triedMsg:
		f.state[m.host] = m.tried
	case tea.PasteMsg:
		if f.prompt != nil {
			p := f.prompt.Paste(m.Content).(widget.Prompt)
			f.prompt = &p
		}
	case tea.KeyPressMsg:
		return f, f.key(m.String(), m.Key().Text)
	}
	return f, nil
}

func (f *first) key(key, typed string) tea.Cmd {
	if f.prompt != nil {
		box, answer := f.prompt.Key(key, typed)
		p := box.(widget.Prompt)
		if f.prompt = &p; answer.Done {
			f.prompt = nil
		}
		if answer.Yes {
			f.opt.Hosts = append(f.opt.Hosts, config.Candidate{Name: config.NodeName(answer.Value), Address: answer.Value, From: "typed"})
			f.list.Cursor = len(f.opt.Hosts) - 1
			return f.mark()
		}
		return nil
	}
	f.wrong = ""
	moves := map[string]string{"j": "down", "down": "down", "k": "up", "up": "up", "g": "top", "home": "top", "G": "bottom", "end": "bottom", "ctrl+d": "half-down", "pgdown": "half-down", "ctrl+u": "half-up", "pgup": "half-up"}
	if id := moves[key]; id != "" {
		f.list, _ = f.list.Move(id, len(f.opt.Hosts), f.rows())
		return nil
	}
	switch key {
	case "q", "ctrl+c":
		return tea.Quit
	case "space":
		return f.mark()
	case "n":
		f.prompt = &widget.Prompt{Title: "another host", Hint: "host or host:port, as ssh reaches it", Check: func(s string) string {
			if s == "" || strings.ContainsAny(s, " \t'\"\\") || config.NodeName(s) == "" {
				return "a host name or an address, please"
			}
			return ""
		}}
	case "t":
		if f.list.Cursor < len(f.opt.Hosts) {
			return f.try(f.opt.Hosts[f.list.Cursor])
		}
	case "enter":
		return f.write()
	}
	return nil
}

// mark takes a host as a node, or not, and tries one that was not tried.
func (f *first) mark() tea.Cmd {
	if f.list.Cursor >= len(f.opt.Hosts) {
		return nil
	}
	h := f.opt.Hosts[f.list.Cursor]
	if f.marked == nil {
		f.marked = map[string]bool{}
	}
	f.marked[h.Address] = !f.marked[h.Address]
	if _, done := f.state[h.Address]; f.marked[h.Address] && !done {
		return f.try(h)
	}
	return nil
}

func (f *first) try(h config.Candidate) tea.Cmd {
	f.state[h.Address] = tried{running: true}
	return func() tea.Msg {
		f.slots <- struct{}{}
		defer func() { <-f.slots }()
		ctx, cancel := context.WithTimeout(f.ctx, tryTimeout)
		defer cancel()
		n, err := f.opt.Try(ctx, h)
		return triedMsg{h.Address, tried{node: n, err: err}}
	}
}

func (f *first) write() tea.Cmd {
	var chosen []config.Candidate
	for _, h := range f.opt.Hosts {
		if f.marked[h.Address] {
			chosen = append(chosen, h)
		}
	}
	if len(chosen) == 0 {
		f.wrong = "mark at least one host with space"
		return nil
	}
	if err := config.Write(f.opt.Path, chosen); err != nil {
		f.wrong = err.Error()
		return nil
	}
	f.written = true
	return tea.Quit
}

func (f *first) rows() int { return max(1, f.h-12) }

// View implements tea.Model.
func (f *first) View() tea.View {
	v := tea.NewView(f.content())
	v.AltScreen = true
	v.WindowTitle = "horcrux: first start"
	return v
}

// said is in full why the host under the cursor could not be reached, and what
// that means for the configuration.
func (f *first) said() []string {
	if f.list.Cursor >= len(f.opt.Hosts) {
		return nil
	}
	h := f.opt.Hosts[f.list.Cursor]
	s := f.state[h.Address]
	if s.err == nil {
		return nil
	}
	lines := []string{""}
	for _, l := range text.Wrap(text.Clean(s.err.Error()), f.w-4) {
		lines = append(lines, "   "+f.th.Text.Render(l))
	}
	if len(lines) > 5 {
		lines = lines[:5]
	}
	next := "t tries it again; it may be written as it is, and the console then asks or says what is missing"
	for _, l := range text.Wrap(next, f.w-4) {
		lines = append(lines, "   "+f.th.Muted.Render(l))
	}
	return lines
}

func (f *first) content() string {
	if f.w < 20 || f.h < 8 {
		return ""
	}
	th := f.th
	lines := []string{
		" " + th.Lead.Render("horcrux") + th.Faint.Render(" "+theme.SignCrumb+" ") + th.Strong.Render("first start"), "",
	}
	for _, l := range text.Wrap("There is no configuration yet. These are the hosts that your SSH knows: mark those that are nodes of the cluster. Each is tried as it is marked; nothing on it is changed.", f.w-2) {
		lines = append(lines, " "+th.Text.Render(l))
	}
	lines = append(lines, "")
	t := widget.Table{Heading: true, Focus: true, Empty: "none is known; n adds one by its name", Columns: []widget.Column{
		{Title: "HOSTS", Width: 22, Min: 14, Grow: 1}, {Title: "from", Width: 14, Rank: 2}, {Title: "what it says", Width: 40, Min: 20, Grow: 3},
	}}
	said := f.said()
	lines = append(lines, t.View(th, f.w, max(2, f.h-len(lines)-4-len(said)), f.list, len(f.opt.Hosts), func(i int) widget.Row {
		h := f.opt.Hosts[i]
		says := widget.Cell{Text: "-", Style: th.Faint}
		switch s, ok := f.state[h.Address]; {
		case !ok:
		case s.running:
			says = widget.Cell{Text: theme.SignHalf + " being tried", Style: th.Muted}
		case s.err != nil:
			says = widget.Cell{Text: theme.SignFail + " " + text.Clean(s.err.Error()), Style: th.Bad}
		default:
			says = widget.Cell{Text: fmt.Sprintf("%s libvirt %s, %s, %s", theme.SignPass, text.Clean(s.node.Libvirt), text.Count(s.node.Defined, "VM"), text.Bytes(s.node.MemTotal)), Style: th.OK}
		}
		r := widget.Row{Cells: []widget.Cell{{Text: text.Clean(h.Address), Style: th.Strong}, {Text: h.From, Style: th.Muted}, says}}
		if f.marked[h.Address] {
			r.Mark, r.MarkStyle = theme.SignMark, th.Accent
		}
		return r
	}))
	lines = append(append(lines, said...), "", " "+th.Muted.Render("enter writes ")+th.Text.Render(text.CutLeft(f.opt.Path, max(1, f.w-20))))
	foot := ""
	if f.wrong != "" {
		foot = th.Warn.Render(theme.SignWarn + " " + text.Clean(f.wrong))
	}
	lines = append(lines, " "+foot)
	keys := ""
	for _, k := range [][2]string{{"space", "mark"}, {"t", "try again"}, {"n", "another host"}, {"enter", "write and go on"}, {"q", "leave"}} {
		keys += th.Accent.Render(k[0]) + " " + th.Muted.Render(k[1]) + "   "
	}
	page := text.Block(text.Block(strings.Join(lines, "\n"), f.w, f.h-1)+"\n "+keys, f.w, f.h)
	if f.prompt != nil {
		page = widget.Over(th, page, f.prompt.View(th, f.w, f.h), f.w, f.h)
	}
	if f.ascii {
		page = theme.ToASCII(page)
	}
	return page
}
