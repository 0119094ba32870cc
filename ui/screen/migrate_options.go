package screen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// modeMeans is what each mode does to the guest, in a line.
var modeMeans = map[model.Mode]string{
	model.ModeLive:    "runs on, stops only for the switch",
	model.ModeOnline:  "paused while its memory goes over",
	model.ModeOffline: "shut down, started on the target",
	model.ModeBlock:   "disks first, in passes; then the rest",
}

// option is one choice of a move: what it is called, for which modes it means
// anything, how it reads now, and how it is chosen.
type option struct {
	id, title string
	modes     []model.Mode
	now       func(model.Options) string
	// values are what there is to choose from, with what each means; none if it
	// is a number that is typed.
	values [][2]string
	hint   string
	set    func(*model.Options, string) string // what is wrong, if anything
}

var moving = []model.Mode{model.ModeLive, model.ModeOnline, model.ModeBlock}

func number(v string, most uint64) (uint64, string) {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n > most {
		return 0, fmt.Sprintf("a whole number from 0 to %d, please", most)
	}
	return n, ""
}

func span(v string, least, most time.Duration) (time.Duration, string) {
	d, err := time.ParseDuration(v)
	if err != nil || d < least || d > most {
		return 0, fmt.Sprintf("a time from %s to %s, please, like 900ms or 2m", least, most)
	}
	return d, ""
}

func onOff(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

var yesNo = [][2]string{{"yes", ""}, {"no", ""}}

var migrateOptions = []option{
	{
		id: "limit", title: "bandwidth", modes: model.Modes, hint: "MiB/s, 0 for no limit",
		now: func(o model.Options) string { return bandwidthWord(o.Bandwidth) },
		set: func(o *model.Options, v string) (wrong string) { o.Bandwidth, wrong = number(v, 1<<31); return wrong },
	},
	{
		id: "downtime", title: "downtime", modes: []model.Mode{model.ModeLive, model.ModeBlock}, hint: "the longest pause aimed at, like 900ms",
		now: func(o model.Options) string { return text.Duration(o.MaxDowntime) },
		set: func(o *model.Options, v string) (wrong string) {
			o.MaxDowntime, wrong = pauseOf(v)
			return wrong
		},
	},
	{
		id: "policy", title: "if it diverges", modes: []model.Mode{model.ModeLive, model.ModeBlock},
		values: [][2]string{{string(model.PolicyAbort), "stop and undo; nothing is lost"}, {string(model.PolicySuspend), "pause the guest for what remains"}, {string(model.PolicyPostCopy), "switch at once, fetch the rest; no undo"}},
		now:    func(o model.Options) string { return text.Or(string(o.Policy), string(model.PolicyAbort)) },
		set:    func(o *model.Options, v string) string { o.Policy = model.Policy(v); return "" },
	},
	{
		id: "converge", title: "throttle", modes: []model.Mode{model.ModeLive, model.ModeBlock}, values: yesNo,
		now: func(o model.Options) string { return onOff(o.AutoConverge) },
		set: func(o *model.Options, v string) string { o.AutoConverge = v == "yes"; return "" },
	},
	{
		id: "parallel", title: "connections", modes: moving, hint: "0 for a single stream, at most 16",
		now: func(o model.Options) string {
			return text.Or(map[int]string{0: "one stream"}[o.Parallel], fmt.Sprint(o.Parallel))
		},
		set: func(o *model.Options, v string) string {
			n, wrong := number(v, 16)
			o.Parallel = int(n)
			return wrong
		},
	},
	{
		id: "compression", title: "compression", modes: moving,
		values: [][2]string{{string(model.CompressNone), ""}, {string(model.CompressZstd), "needs connections"}, {string(model.CompressXBZRLE), "needs a single stream"}},
		now:    func(o model.Options) string { return text.Or(string(o.Compression), string(model.CompressNone)) },
		set:    func(o *model.Options, v string) string { o.Compression = model.Compression(v); return "" },
	},
	{
		id: "tls", title: "encryption", modes: moving,
		values: [][2]string{{string(model.TLSAuto), "where both hosts have certificates"}, {string(model.TLSRequire), "or the move is refused"}, {string(model.TLSOff), ""}},
		now:    func(o model.Options) string { return text.Or(string(o.TLS), string(model.TLSAuto)) },
		set:    func(o *model.Options, v string) string { o.TLS = model.TLS(v); return "" },
	},
	{
		id: "shutdown", title: "shutdown wait", modes: []model.Mode{model.ModeOffline, model.ModeBlock}, hint: "for each way of asking the guest: the agent, then ACPI; like 2m",
		now: func(o model.Options) string { return text.Duration(o.ShutdownTimeout) },
		set: func(o *model.Options, v string) (wrong string) {
			o.ShutdownTimeout, wrong = span(v, time.Second, time.Hour)
			return wrong
		},
	},
	{
		id: "force", title: "then force off", modes: []model.Mode{model.ModeOffline, model.ModeBlock}, values: yesNo,
		now: func(o model.Options) string { return onOff(o.ForceOff) },
		set: func(o *model.Options, v string) string { o.ForceOff = v == "yes"; return "" },
	},
	{
		id: "finish", title: "finish", modes: []model.Mode{model.ModeBlock},
		values: [][2]string{{string(model.FinishLive), "as live does"}, {string(model.FinishStop), "by a brief stop"}},
		now:    func(o model.Options) string { return text.Or(string(o.Finish), string(model.FinishLive)) },
		set:    func(o *model.Options, v string) string { o.Finish = model.Finish(v); return "" },
	},
	{
		id: "path", title: "way of data", modes: model.Modes,
		values: [][2]string{{string(model.PathAuto), "found out"}, {string(model.PathDirect), "from node to node over TCP"}, {string(model.PathSSH), "from node to node over SSH"}, {string(model.PathRelay), "through this machine"}},
		now:    func(o model.Options) string { return text.Or(string(o.Path), string(model.PathAuto)) },
		set:    func(o *model.Options, v string) string { o.Path = model.DataPath(v); return "" },
	},
	{
		id: "confirm", title: "confirm", modes: model.Modes, values: [][2]string{{"yes", "by itself, once all checks pass"}, {"no", "by hand, after the checks"}},
		now: func(o model.Options) string { return confirmWord(o.AutoConfirm) },
		set: func(o *model.Options, v string) string { o.AutoConfirm = v == "yes"; return "" },
	},
}

// offered are the options that mean something in a mode.
func offered(m model.Mode) []option {
	var out []option
	for _, o := range migrateOptions {
		if slices.Contains(o.modes, m) {
			out = append(out, o)
		}
	}
	return out
}

func findOption(id string) option {
	for _, o := range migrateOptions {
		if o.id == id {
			return o
		}
	}
	return option{}
}

// modeMenu offers the four modes.
func (s *Migrate) modeMenu() widget.Menu {
	m := widget.Menu{Title: "mode: the guest …"}
	for i, k := range model.Modes {
		m.Items = append(m.Items, widget.Item{ID: string(k), Title: string(k), Key: string("loxb"[i]), Note: modeMeans[k]})
		if k == s.mode {
			m.Cursor = i
		}
	}
	return m
}

func (s *Migrate) optionMenu() widget.Menu {
	m := widget.Menu{Title: "options of a move, mode " + string(s.mode)}
	for _, o := range offered(s.mode) {
		m.Items = append(m.Items, widget.Item{ID: o.id, Title: o.title, Note: o.now(s.options)})
	}
	return m
}

// choose opens what an option is chosen with.
func (s *Migrate) choose(id string) []Intent {
	o := findOption(id)
	if o.set == nil {
		return nil
	}
	if len(o.values) == 0 {
		begin := strings.ReplaceAll(o.now(s.options), " ", "")
		if n, err := strconv.ParseUint(strings.TrimSuffix(begin, "MiB/s"), 10, 32); err == nil {
			begin = fmt.Sprint(n)
		} else if _, err := time.ParseDuration(begin); err != nil {
			begin = "0"
		}
		return []Intent{Enter{ID: "option " + id, Prompt: widget.Prompt{
			Title: o.title, Hint: o.hint, Input: widget.Suggest(begin),
			Check: func(v string) string {
				scratch := model.Options{}
				return o.set(&scratch, v)
			},
		}}}
	}
	m := widget.Menu{Title: o.title}
	for i, v := range o.values {
		m.Items = append(m.Items, widget.Item{ID: v[0], Title: v[0], Note: v[1]})
		if v[0] == o.now(s.options) || id == "confirm" && (v[0] == "yes") == s.options.AutoConfirm {
			m.Cursor = i
		}
	}
	return []Intent{Choose{ID: "option " + id, Menu: m}}
}

// answered takes what was chosen; every pre-flight is made again with it.
func (s *Migrate) answered(m Answered) []Intent {
	switch {
	case m.ID == "mode":
		s.mode, s.scroll = model.Mode(m.Value), 0
		return s.ask()
	case m.ID == "options":
		return s.choose(m.Value)
	}
	if id, ok := strings.CutPrefix(m.ID, "option "); ok {
		if o := findOption(id); o.set != nil && o.set(&s.options, m.Value) == "" && id != "confirm" {
			return s.ask()
		}
	}
	return nil
}

// choices are the lines of mode and options.
func (s *Migrate) choices(w int) []string {
	th := s.env.Theme
	label := func(k, l string) string { return " " + th.Accent.Render(k) + " " + th.Muted.Render(text.Fit(l, 11)) }
	mode := label("M", "mode")
	for _, k := range model.Modes {
		if k == s.mode {
			mode += th.Lead.Render(theme.SignActive+" "+string(k)) + "  "
		} else {
			mode += th.Muted.Render(theme.SignOff+" "+string(k)) + "  "
		}
	}
	reason := modeMeans[s.mode]
	if p, ok := s.shown(); ok && p.plan.ModeReason != "" {
		reason = name(p.plan.ModeReason)
	}
	if m := s.mixed(); m != "" {
		reason = m
	}
	lines := []string{text.Fit(mode, w)}
	for _, part := range text.Wrap(reason, max(10, w-15)) {
		lines = append(lines, text.Spaces(14)+th.Muted.Render(part))
	}
	line, lead := label("o", "options"), text.Spaces(14)
	used := text.Width(line)
	for i, o := range offered(s.mode) {
		word := th.Muted.Render(o.title+" ") + th.Text.Render(o.now(s.options))
		if n := text.Width(word) + 3; used+n > w && used > 14 {
			lines = append(lines, text.Fit(line, w))
			line, used = lead, len(lead)
		} else if i > 0 && used > 14 {
			line += "   "
			used += 3
		}
		line += word
		used += text.Width(word)
	}
	return append(lines, text.Fit(line, w))
}
