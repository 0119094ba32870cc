package health

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"horcrux/engine/model"
)

const (
	// agentQuestion is the deadline of one question; libvirt counts in whole
	// seconds.
	agentQuestion = 2 * time.Second
	// agentAfter is how long an agent that answered before the move may take to
	// come back; agentPause is between tries.
	agentAfter = 12 * time.Second
	agentPause = 300 * time.Millisecond
	// bootIDPath changes with every boot of a Linux guest and with nothing else.
	bootIDPath = "/proc/sys/kernel/random/boot_id"
)

// bootAfter is how long a guest that was started by the move may take until its
// agent and its services answer. Servers with much memory and slow controllers
// need minutes.
const bootAfter = 3 * time.Minute

const (
	factAgent = "agent"
	factBoot  = "boot_id"
	answers   = "answers"
	silent    = "silent"
)

func agentLimit(e *exam) time.Duration {
	if e.stage == model.StageAfter {
		return e.comeback(agentAfter) + 3*time.Second
	}
	return 2*agentQuestion + time.Second
}

// comeback is how long something that answered before the move is waited for.
func (e *exam) comeback(running time.Duration) time.Duration {
	if e.o.Booted {
		return bootAfter
	}
	return running
}

// checkAgent pings the guest agent and asks it for the guest's boot id: the
// same one after the move proves that the guest did not start again.
func checkAgent(ctx context.Context, e *exam) finding {
	dom, err := e.domain(ctx)
	if err != nil {
		return failed("whether there is an agent is not known: %s", why(err))
	}
	b := e.o.baseline(model.CheckAgent)
	if !dom.agent {
		if b != nil && b.Facts[factAgent] != "" {
			return failed("the VM had a channel for its agent before the move and has none")
		}
		return skipped("the VM has no channel for a guest agent")
	}
	if e.still(ctx) {
		return skipped("the VM is paused, so its agent cannot answer")
	}
	wasSilent := b != nil && b.Facts[factAgent] == silent
	patience := time.Duration(0)
	if e.stage == model.StageAfter && !wasSilent {
		patience = e.comeback(agentAfter)
	}
	trip, err := e.ping(ctx, patience)
	switch {
	case err == nil:
	case e.stage == model.StageAfter && wasSilent:
		return skipped("the agent did not answer before the move either")
	case e.stage == model.StageAfter && b != nil && b.Facts[factAgent] == answers:
		return failed("the agent answered before the move and does not: %s", why(err))
	default:
		f := warned("the agent does not answer: %s", why(err))
		f.facts = map[string]string{factAgent: silent}
		return f
	}
	n := newNotes()
	n.fact(factAgent, answers)
	n.say("answers in %s", ms(trip))
	e.tellAgent(ctx, n)
	e.compareBoot(ctx, n, b)
	return n.finding()
}

// ping asks until the agent answers or patience ends; always once.
func (e *exam) ping(ctx context.Context, patience time.Duration) (time.Duration, error) {
	until := e.o.Clock.Now().Add(patience)
	for {
		began := e.o.Clock.Now()
		err := e.askAgent(ctx, agentQuestion, "guest-ping", nil, nil)
		now := e.o.Clock.Now()
		if err == nil {
			return now.Sub(began), nil
		}
		if !now.Add(agentPause).Before(until) || e.ended(ctx) || e.o.Clock.Sleep(ctx, agentPause) != nil {
			return 0, err
		}
	}
}

// tellAgent adds the guest's name and the agent's version; an agent that does
// not know the questions is healthy all the same.
func (e *exam) tellAgent(ctx context.Context, n *notes) {
	var host struct {
		Name string `json:"host-name"`
	}
	if err := e.askAgent(ctx, agentQuestion, "guest-get-host-name", nil, &host); err == nil && host.Name != "" {
		n.fact("hostname", clean(host.Name))
		n.say("host name %s", clean(host.Name))
	}
	var info struct {
		Version string `json:"version"`
	}
	if err := e.askAgent(ctx, agentQuestion, "guest-info", nil, &info); err == nil && info.Version != "" {
		n.fact("version", clean(info.Version))
		n.say("agent %s", clean(info.Version))
	}
}

func (e *exam) compareBoot(ctx context.Context, n *notes, b *model.CheckResult) {
	was := ""
	if b != nil {
		was = b.Facts[factBoot]
	}
	id, err := e.bootID(ctx)
	switch {
	case err == nil && was == "":
		n.say("boot %s", short(id))
	case err == nil && was == id && e.o.Booted:
		n.fail("the guest should have started anew and shows the boot of before the move: %s", short(id))
	case err == nil && was == id:
		n.say("same boot %s", short(id))
	case err == nil && e.o.Booted:
		n.say("started anew, boot %s", short(id))
	case err == nil:
		n.fail("the guest rebooted: boot %s before the move, %s now", short(clean(was)), short(id))
	case was != "":
		n.warn("whether it is the same boot is not known: %s", why(err))
	default:
		n.say("no boot id: %s", why(err))
	}
	if err == nil {
		n.fact(factBoot, id)
	}
}

// bootID reads a file in the guest. The file is closed whatever happens: the
// agent would keep it open for ever.
func (e *exam) bootID(ctx context.Context) (string, error) {
	release, err := e.holdAgent(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	var handle int64
	err = e.askHeld(ctx, agentQuestion, "guest-file-open", map[string]string{"path": bootIDPath, "mode": "r"}, &handle)
	if err != nil {
		return "", err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), agentQuestion)
		defer cancel()
		_ = e.askHeld(ctx, agentQuestion, "guest-file-close", map[string]int64{"handle": handle}, nil)
	}()
	var read struct {
		Data string `json:"buf-b64"`
	}
	err = e.askHeld(ctx, agentQuestion, "guest-file-read", map[string]int64{"handle": handle, "count": 64}, &read)
	if err != nil {
		return "", err
	}
	raw, err := base64.StdEncoding.DecodeString(read.Data)
	if err != nil {
		return "", errors.New("the agent's answer is not understood")
	}
	id := clean(strings.TrimSpace(string(raw)))
	if len(id) != 36 {
		return "", errors.New("what the agent read is not a boot id")
	}
	return id, nil
}

// short is the first group of a UUID.
func short(id string) string {
	head, _, _ := strings.Cut(id, "-")
	return head
}
