package ui

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"horcrux/engine"
	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// The least window that can be drawn in.
const (
	minWidth  = 60
	minHeight = 15
)

// wheelLines is how far one notch of the wheel goes.
const wheelLines = 3

// app is the root model. It alone changes anything: pages are asked, and told.
type app struct {
	ctx context.Context
	svc engine.Service
	opt Options

	// The clock, timers and streams come from outside, so that tests need not
	// wait for anything.
	now    func() time.Time
	after  func(time.Duration, tea.Msg) tea.Cmd
	listen func(source) tea.Cmd

	env   *screen.Env
	exit  *exit
	pulse *pulse
	stack []screen.Screen // the page on top is the last
	modal modal
	// asked are the questions of logins, question the one in the modal.
	asked    []model.Question
	question model.Question
	watch    *watch
	// follow is the stream of the job page that is open, or nil.
	follow *follow

	toasts  []toast // what is said for a while
	history history
	sees    screen.Sight  // what the page on top shows
	told    *model.Sight  // as the engine was told last
	keyAt   time.Time     // of the last sign of a person
	away    bool          // none for a while
	blurred bool          // the terminal has lost the focus
	slots   chan struct{} // pre-flights under way at the same time
	tick    tickState
	still   bool      // the last message has changed nothing on screen
	picture *tea.View // as drawn last
	armed   time.Time // of a first ctrl-c
	seen    bool      // an update has arrived

	w, h        int
	profile     colorprofile.Profile
	dark, ascii bool
	mouse       bool
}

func newApp(ctx context.Context, s engine.Service, o Options) *app {
	env := environ(o.Environ)
	a := &app{
		ctx: ctx, svc: s, opt: o, now: o.Now,
		after: func(d time.Duration, m tea.Msg) tea.Cmd {
			return tea.Tick(d, func(time.Time) tea.Msg { return m })
		},
		listen:  func(s source) tea.Cmd { return s.next },
		slots:   make(chan struct{}, 4),
		exit:    newExit(),
		profile: colorprofile.TrueColor,
		dark:    o.Config.UI.Theme != "light" && (o.Config.UI.Theme == "dark" || !brightBackground(env["COLORFGBG"])),
		ascii:   o.Config.UI.ASCII || !speaksUTF8(env),
		// GNU screen 4.9 hands on nothing any more once it has seen esc with the mouse on.
		mouse: o.Config.UI.Mouse && env["STY"] == "",
	}
	if a.now == nil {
		a.now = time.Now
	}
	if env["NO_COLOR"] != "" {
		a.profile = colorprofile.ASCII
	}
	m := o.Config.Migration
	a.keyAt = a.now()
	a.env = &screen.Env{
		Cluster: s.Snapshot(), Now: a.now(), Poll: o.Config.PollInterval, Theme: a.theme(),
		Defaults: engine.Defaults(m), DefaultMode: model.Mode(m.Mode), Hidden: map[string]bool{},
	}
	for _, h := range o.Hidden {
		a.env.Hidden[h] = true
	}
	a.stack = []screen.Screen{screen.NewCluster(a.env)}
	return a
}

// brightBackground reads COLORFGBG, by which some terminals tell the numbers of their
// colours, the background's last: all that is known where no question is answered.
func brightBackground(colours string) bool {
	last := colours[strings.LastIndexByte(colours, ';')+1:]
	return last == "7" || last == "15"
}

// theme picks the looks for the terminal as far as it is known.
func (a *app) theme() *theme.Theme {
	switch {
	case a.profile <= colorprofile.ASCII:
		return theme.New(theme.Mono)
	case a.profile == colorprofile.ANSI && a.dark:
		return theme.New(theme.Sixteen)
	case a.profile == colorprofile.ANSI:
		return theme.New(theme.LightSixteen)
	case a.profile == colorprofile.ANSI256 && a.dark:
		return theme.New(theme.Dark256)
	case a.profile == colorprofile.ANSI256:
		return theme.New(theme.Light256)
	case a.dark:
		return theme.New(theme.Dark)
	}
	return theme.New(theme.Light)
}

// Init implements tea.Model.
func (a *app) Init() tea.Cmd {
	a.watch = &watch{ch: a.svc.Watch(a.ctx)}
	cmds := []tea.Cmd{a.listen(a.watch), a.lookForUnsettled()}
	if a.opt.Config.UI.Theme == "" || a.opt.Config.UI.Theme == "auto" {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	if a.opt.StartAt != "" {
		cmds = append(cmds, a.apply([]screen.Intent{screen.OpenJob{ID: a.opt.StartAt}}))
	}
	return tea.Batch(cmds...)
}

// Update implements tea.Model.
func (a *app) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	a.still = false
	cmd := a.handle(msg)
	a.heat()
	return a, tea.Batch(cmd, a.schedule())
}

func (a *app) handle(msg tea.Msg) tea.Cmd {
	switch msg.(type) {
	case tea.KeyPressMsg, tea.PasteMsg, tea.MouseWheelMsg, tea.MouseClickMsg, tea.FocusMsg, tea.WindowSizeMsg, tea.ResumeMsg:
		a.present()
	case tea.BlurMsg:
		a.blurred = true
	}
	switch m := msg.(type) {
	case tea.KeyPressMsg:
		return a.key(m.String(), m.Key().Text)
	case tea.PasteMsg:
		return a.paste(m.Content)
	case tea.MouseWheelMsg:
		return a.wheel(m.Mouse())
	case tea.MouseClickMsg:
		return a.click(m.Mouse())
	case tea.WindowSizeMsg:
		a.w, a.h = m.Width, m.Height
		return a.renew()
	case tea.ColorProfileMsg:
		if environ(a.opt.Environ)["NO_COLOR"] == "" {
			a.profile = m.Profile
		}
		return a.renew()
	case tea.BackgroundColorMsg:
		if t := a.opt.Config.UI.Theme; t == "" || t == "auto" {
			a.dark = m.IsDark()
		}
		return a.renew()
	case updateMsg:
		return tea.Batch(a.news(m.Update), a.listen(a.watch))
	case watchEnded:
		if a.ctx.Err() != nil {
			return nil
		}
		return a.say(screen.Problem, "the engine sends no more news; what is shown grows old. Leave with q and start again.")
	case followOpened:
		return a.followOpened(m)
	case followNews:
		return a.followNews(m)
	case screen.PlanArrived, screen.VMArrived, screen.NodeArrived, screen.LogArrived:
		return a.deliver(m)
	case reportNews:
		return a.reported(m)
	case powerDone:
		return a.powered(m)
	case maintained:
		return a.maintainDone(m)
	case consoleOpened:
		return a.consoleOpened(m)
	case consoleLeft:
		return a.consoleLeft(m)
	case startedMsg:
		return a.started(m)
	case doneMsg:
		return a.done(m)
	case unsettledMsg:
		return a.unsettled(m)
	case tickMsg:
		if m.gen != a.tick.gen {
			a.still = true
			return nil
		}
		a.tick.due = time.Time{}
		a.rest()
		if !a.ages() { // there was news meanwhile
			a.still = true
			return nil
		}
		return a.renew()
	case tea.ResumeMsg:
		return a.renew()
	}
	return nil
}

// renew hands the values, at this moment, to every page.
func (a *app) renew() tea.Cmd {
	e := *a.env
	e.Now = a.now()
	e.Theme = a.theme()
	f := frameFor(a.w, a.h)
	e.W, e.H = f.w, f.body
	a.env = &e
	a.fadeToasts()
	return a.deliver(a.env)
}

// deliver gives a message to every page, top last, and follows their intents. A
// question is looked at after the page that has put it.
func (a *app) deliver(msg any) tea.Cmd {
	var out []screen.Intent
	for i := range a.stack {
		s, intents := a.stack[i].Update(msg)
		a.stack[i] = s
		out = append(out, intents...)
	}
	a.modal.recheck(a.env)
	if h, ok := a.modal.box.(widget.Help); ok { // what can be done now is another thing by now
		h.Scope = append(a.top().Scope(), global()...)
		a.modal.box = h
	}
	return a.apply(out)
}

// tell gives a message to the page on top alone.
func (a *app) tell(msg any) tea.Cmd {
	i := len(a.stack) - 1
	s, intents := a.stack[i].Update(msg)
	a.stack[i] = s
	return a.apply(intents)
}

func (a *app) top() screen.Screen { return a.stack[len(a.stack)-1] }

// news takes what the engine says, and tells the person how jobs have gone on.
func (a *app) news(u engine.Update) tea.Cmd {
	e := *a.env
	if u.Cluster != nil {
		e.Cluster = *u.Cluster
		e.Elsewhere = e.Cluster.Elsewhere()
		a.history.look(a.lookedAt())
		e.History = a.history.with(e.History, u.Cluster)
	}
	var cmds []tea.Cmd
	if u.Jobs != nil {
		if a.seen {
			cmds = append(cmds, a.announce(a.env.Jobs, u.Jobs))
		}
		e.Jobs, a.seen = u.Jobs, true
	}
	a.env = &e
	a.questions(u.Questions)
	return tea.Batch(append(cmds, a.renew(), a.revive())...)
}
