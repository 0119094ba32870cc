package health

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"horcrux/config"
	"horcrux/engine/model"
)

const (
	// appPause is between tries after a move.
	appPause = 500 * time.Millisecond
	// defaultAppTimeout is used where a configuration says nothing.
	defaultAppTimeout = 5 * time.Second
)

// errNoAddress says that {ip} cannot be filled in.
var errNoAddress = errors.New("no address of the guest is known")

func timeoutOf(a config.Application) time.Duration {
	if a.Timeout > 0 {
		return a.Timeout
	}
	return defaultAppTimeout
}

func appLimit(e *exam) time.Duration {
	limit := agentQuestion
	for _, a := range e.applications() {
		limit = max(limit, e.patience(a))
	}
	return limit + 2*time.Second
}

// patience is how long an application is tried.
func (e *exam) patience(a config.Application) time.Duration {
	if e.stage != model.StageAfter {
		return timeoutOf(a)
	}
	return max(timeoutOf(a), e.comeback(timeoutOf(a)))
}

// applications are those configured for this VM.
func (e *exam) applications() []config.Application {
	var own []config.Application
	for _, a := range e.o.Applications {
		if ok, err := path.Match(a.VM, e.o.VMName); ok && err == nil {
			own = append(own, a)
		}
	}
	return own
}

// answer is what one application check found.
type answer struct {
	key string
	f   finding
}

// checkApplications makes those that are configured for the VM, all at once;
// the worst of them counts.
func checkApplications(ctx context.Context, e *exam) finding {
	own := e.applications()
	if len(own) == 0 {
		return skipped("no application check is configured for this VM")
	}
	if e.still(ctx) {
		return skipped("the VM is paused, so nothing in it can answer")
	}
	answers := make([]answer, len(own))
	var wg sync.WaitGroup
	for i, a := range own {
		wg.Go(func() { answers[i] = e.application(ctx, a) })
	}
	wg.Wait()
	n := newNotes()
	for _, a := range answers {
		n.fact(a.key, string(a.f.verdict))
		switch a.f.verdict {
		case model.Fail:
			n.fail("%s", a.f.evidence)
		case model.Warn:
			n.warn("%s", a.f.evidence)
		default:
			n.say("%s", a.f.evidence)
		}
	}
	return n.finding()
}

// application makes one check, after a move until it passes or its time ends.
func (e *exam) application(ctx context.Context, a config.Application) answer {
	p := e.probe(a)
	out := answer{key: p.name}
	limit := e.patience(a)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	until := e.o.Clock.Now().Add(limit)
	tries := 0
	for {
		tries++
		tryCtx, done := context.WithTimeout(ctx, timeoutOf(a))
		seen, err := p.try(tryCtx)
		done()
		if err == nil {
			if tries > 1 {
				seen += fmt.Sprintf(" at try %d", tries)
			}
			out.f = passed(seen, nil)
			return out
		}
		// The cause of a try that was cut short is less telling than that of
		// the one before.
		if ctx.Err() == nil || out.f.evidence == "" {
			out.f = failed("%s: %s", p.where, why(err))
		}
		again := e.stage == model.StageAfter && e.o.Clock.Now().Add(appPause).Before(until) && !e.ended(ctx)
		if !again || e.o.Clock.Sleep(ctx, appPause) != nil {
			break
		}
	}
	if b := e.o.baseline(model.CheckApp); e.stage == model.StageAfter && b != nil && b.Facts[p.name] == string(model.Fail) {
		out.f.verdict = model.Warn
		out.f.evidence += ", and it failed before the move too"
	}
	return out
}

// probe is one way to ask: its name in the facts, the words for a person, and
// the asking.
type probe struct {
	name, where string
	try         func(context.Context) (string, error)
}

func (e *exam) probe(a config.Application) probe {
	switch {
	case a.HTTP != "":
		return probe{"http " + a.HTTP, "from this console to " + a.HTTP, func(ctx context.Context) (string, error) { return e.tryHTTP(ctx, a) }}
	case a.TCP != "":
		return probe{"tcp " + a.TCP, "from this console to " + a.TCP, func(ctx context.Context) (string, error) { return e.tryTCP(ctx, a) }}
	case len(a.Command) > 0:
		words := strings.Join(a.Command, " ")
		return probe{"command " + words, "in the guest, " + clean(words), func(ctx context.Context) (string, error) { return e.tryCommand(ctx, a) }}
	}
	return probe{"nothing", "the configuration", func(context.Context) (string, error) {
		return "", errors.New("names nothing to check")
	}}
}

// filled are the forms of a text with {ip} and {name} filled in: one for each
// address of the guest.
func (e *exam) filled(ctx context.Context, text string, url bool) ([]string, error) {
	text = strings.ReplaceAll(text, "{name}", e.o.VMName)
	if !strings.Contains(text, "{ip}") {
		return []string{text}, nil
	}
	var forms []string
	for _, ip := range e.addresses(ctx, timeLeft(ctx)) {
		if url && strings.Contains(ip, ":") && !strings.Contains(text, "[{ip}]") {
			ip = "[" + ip + "]"
		}
		forms = append(forms, strings.ReplaceAll(text, "{ip}", ip))
	}
	if len(forms) == 0 {
		return nil, errNoAddress
	}
	return forms, nil
}

func timeLeft(ctx context.Context) time.Duration {
	if d, ok := ctx.Deadline(); ok {
		return time.Until(d)
	}
	return defaultAppTimeout
}

// each tries the forms one after another; one that answers is enough. The time
// is shared out so that a silent address leaves some to the next.
func each(ctx context.Context, forms []string, try func(context.Context, string) (string, error)) (string, error) {
	var first error
	for i, form := range forms {
		share := timeLeft(ctx) / time.Duration(len(forms)-i)
		tryCtx, cancel := context.WithTimeout(ctx, share)
		seen, err := try(tryCtx, form)
		cancel()
		if err == nil {
			return seen, nil
		}
		if first == nil {
			first = fmt.Errorf("%s: %w", form, err)
			if len(forms) == 1 {
				first = err
			}
		}
	}
	return "", first
}
